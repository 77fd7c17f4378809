using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace MobileIntegration.Tests.LocalHost;

public sealed class CommandTests : IDisposable
{
    private readonly TestModel _model = new();
    private readonly IResourceBuilder<Thing> _thing;

    public CommandTests() => _thing = _model.Builder.AddResource(new Thing("thing"));

    private ResourceCommandService Commands => _model.Application.ResourceCommands;

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task A_command_runs_once_for_every_instance_and_fails_if_one_fails()
    {
        _thing.WithCommand("go", "Go", context => Task.FromResult(
            context.ResourceName == "thing-b" ? CommandResults.Failure("it broke") : CommandResults.Success()));
        await _model.Notifications.PublishUpdateAsync(_thing.Resource, "thing-a", snapshot => snapshot);
        await _model.Notifications.PublishUpdateAsync(_thing.Resource, "thing-b", snapshot => snapshot);

        var all = await Commands.ExecuteCommandAsync(_thing.Resource, "go");
        Assert.False(all.Success);
        Assert.Equal("thing-b: it broke", all.Message);
        Assert.True((await Commands.ExecuteCommandAsync("thing-a", "go")).Success);
    }

    [Fact]
    public async Task A_fault_is_a_failure_and_stands_in_the_log()
    {
        _thing.WithCommand("go", "Go", _ => throw new InvalidOperationException("boom"));
        var result = await Commands.ExecuteCommandAsync("thing", "go");
        Assert.Equal((false, "boom"), (result.Success, result.Message));
        Assert.Contains(await LogTests.AllAsync(_model.Logs.GetAllAsync("thing")), line => line.IsErrorMessage && line.Content.Contains("boom", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_cancelled_command_is_cancelled_not_failed()
    {
        using var cancelled = new CancellationTokenSource();
        _thing.WithCommand("go", "Go", async context =>
        {
            await cancelled.CancelAsync();
            context.CancellationToken.ThrowIfCancellationRequested();
            return CommandResults.Success();
        });
        Assert.True((await Commands.ExecuteCommandAsync(_thing.Resource, "go", cancelled.Token)).Canceled);
    }

    [Fact]
    public async Task What_is_not_there_is_named_with_what_is()
    {
        _thing.WithCommand("go", "Go", _ => Task.FromResult(CommandResults.Success()));
        Assert.Equal("There is no resource 'x'; there are: thing.", (await Commands.ExecuteCommandAsync("x", "go")).Message);
        Assert.Equal("'thing' has no command 'x'; it has: go.", (await Commands.ExecuteCommandAsync("thing", "x")).Message);
    }

    [Fact]
    public async Task A_disabled_command_is_refused()
    {
        _thing.WithCommand("go", "Go", _ => Task.FromResult(CommandResults.Success()), new() { UpdateState = _ => ResourceCommandState.Disabled });
        await _model.SetStateAsync(_thing.Resource, "Resting");
        Assert.Equal("'go' cannot be used while 'thing' is Resting.", (await Commands.ExecuteCommandAsync("thing", "go")).Message);
    }

    [Theory]
    [InlineData("percent", "many", "Argument 'percent' must be a number.")]
    [InlineData("percent", "", "Argument 'percent' is needed.")]
    [InlineData("percent", "150", "percent: at most 100")]
    [InlineData("color", "red", "Argument 'color' must be one of: blue.")]
    [InlineData("shape", "round", "There is no argument 'shape'; there are: percent, color.")]
    public async Task Wrong_arguments_are_refused_before_the_command_runs(string name, string value, string problem)
    {
        var ran = false;
        AddCommandWithArguments(_ => ran = true);
        var arguments = new InteractionInputCollection([new() { Name = name, InputType = InputType.Text, Value = value }]);
        var result = await Commands.ExecuteCommandAsync("thing", "set", arguments);
        Assert.Equal((false, problem), (result.Success, result.Message));
        Assert.False(ran);
    }

    [Fact]
    public async Task Arguments_that_are_not_given_have_their_defaults()
    {
        InteractionInputCollection? seen = null;
        AddCommandWithArguments(arguments => seen = arguments);
        Assert.True((await Commands.ExecuteCommandAsync("thing", "set")).Success);
        Assert.Equal((50, null), (seen!.GetInt32("percent"), seen.GetString("color")));
    }

    [Theory]
    [InlineData("/good", true)]
    [InlineData("/bad", false)]
    public async Task An_HTTP_command_brings_the_answer(string path, bool success)
    {
        await using var server = WebApplication.CreateSlimBuilder().Build();
        server.Urls.Add("http://127.0.0.1:0");
        server.MapDelete("/good", (HttpRequest request) => Results.Json(new { header = request.Headers["X-Key"].ToString() }));
        server.MapDelete("/bad", () => Results.Text("no", statusCode: 409));
        await server.StartAsync();
        var port = new Uri(server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Port;

        _thing.WithHttpEndpoint().WithHttpCommand(path, "Delete", commandName: "delete", commandOptions: new HttpCommandOptions
        {
            Method = HttpMethod.Delete,
            ResultMode = HttpCommandResultMode.Auto,
            PrepareRequest = context =>
            {
                context.Request.Headers.Add("X-Key", "k");
                return Task.CompletedTask;
            },
        });
        var endpoint = _thing.GetEndpoint("http").EndpointAnnotation;
        endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, "127.0.0.1", port);
        await _model.SetReadyAsync(_thing.Resource);

        var result = await Commands.ExecuteCommandAsync("thing", "delete");
        Assert.Equal(success, result.Success);
        Assert.Equal(success ? "{\"header\":\"k\"}" : "no", result.Data?.Value);
        Assert.Equal(success ? CommandResultFormat.Json : CommandResultFormat.Text, result.Data?.Format);
    }

    private void AddCommandWithArguments(Action<InteractionInputCollection> run) => _thing.WithCommand(
        "set", "Set",
        context =>
        {
            run(context.Arguments);
            return Task.FromResult(CommandResults.Success());
        },
        new()
        {
            Arguments =
            [
                new() { Name = "percent", InputType = InputType.Number, Required = true, Value = "50" },
                new() { Name = "color", InputType = InputType.Choice, Options = [new("blue", "Blue")] },
            ],
            ValidateArguments = context =>
            {
                if (context.Inputs.GetInt32("percent") > 100)
                {
                    context.AddValidationError("percent", "at most 100");
                }

                return Task.CompletedTask;
            },
        });
}
