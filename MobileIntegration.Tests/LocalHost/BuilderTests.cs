using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.Eventing;
using MobileIntegration.LocalHost.Lifecycle;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.Tests.LocalHost;

public sealed class BuilderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("builder-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Resource_logs_go_to_the_AppHost_log_if_so_asked(bool enabled)
    {
        var builder = Create(new() { EnableResourceLogging = enabled, DisableDashboard = true });
        using var lines = new Lines();
        builder.Services.AddLogging(logging => logging.AddProvider(lines));
        using var application = builder.Build();
        application.Services.GetRequiredService<ResourceLoggerService>().Append("thing-a", "hello", isError: true);
        Assert.Equal(enabled, lines.Written.Any(line => line.Contains("Resources.thing-a Error 1: ", StringComparison.Ordinal) && line.EndsWith("hello", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(true, WaitBehavior.StopOnResourceUnavailable)]
    [InlineData(false, WaitBehavior.WaitOnResourceUnavailable)]
    public void Waiting_is_patient_only_where_a_dashboard_can_start_things_again(bool disableDashboard, WaitBehavior expected)
    {
        using var application = Create(new() { DisableDashboard = disableDashboard }).Build();
        Assert.Equal(expected, application.ResourceNotifications.DefaultWaitBehavior);
    }

    [Fact]
    public async Task Subscribers_hear_the_first_event()
    {
        var builder = Create(new() { DisableDashboard = true });
        builder.Services.TryAddEventingSubscriber<Subscriber>();
        builder.Services.TryAddEventingSubscriber<Subscriber>();
        builder.Services.AddSingleton<List<string>>();
        using var application = builder.Build();
        var hosted = application.Services.GetServices<IHostedService>().ToList();
        var subscribers = hosted.FindIndex(service => service is EventingSubscribers);
        Assert.InRange(subscribers, 0, hosted.FindIndex(service => service is Orchestrator) - 1);
        await hosted[subscribers].StartAsync(CancellationToken.None);

        await builder.Eventing.PublishAsync(new BeforeStartEvent(application.Services, new DistributedApplicationModel(builder.Resources)));
        Assert.Equal(["BeforeStart"], application.Services.GetRequiredService<List<string>>());
    }

    [Fact]
    public void An_application_is_built_once()
    {
        var builder = Create(new() { DisableDashboard = true });
        builder.Build().Dispose();
        Assert.Throws<InvalidOperationException>(() => builder.Build());
    }

    [Fact]
    public void Settings_of_the_AppHost_directory_are_read_and_the_command_line_overrides_them()
    {
        File.WriteAllText(Path.Combine(_folder, "appsettings.json"), """{ "A": "file", "B": "file" }""");
        var configuration = Create(new() { Args = ["--B", "argument"] }).Configuration;
        Assert.Equal(("file", "argument"), (configuration["A"], configuration["B"]));
    }

    private DistributedApplicationBuilder Create(DistributedApplicationOptions options)
    {
        options.ProjectDirectory = _folder;
        options.UserSecretsPath = Path.Combine(_folder, "secrets.json");
        return new(options);
    }

    private sealed class Subscriber(List<string> heard) : IDistributedApplicationEventingSubscriber
    {
        public Task SubscribeAsync(IDistributedApplicationEventing eventing, DistributedApplicationExecutionContext executionContext, CancellationToken cancellationToken)
        {
            eventing.Subscribe<BeforeStartEvent>((_, _) =>
            {
                heard.Add("BeforeStart");
                return Task.CompletedTask;
            });
            return Task.CompletedTask;
        }
    }

    private sealed class Lines : ILoggerProvider
    {
        public List<string> Written { get; } = [];

        public ILogger CreateLogger(string categoryName) => new Logger(categoryName, Written);

        public void Dispose()
        {
        }

        private sealed class Logger(string category, List<string> written) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state)
                where TState : notnull => null;

            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
                written.Add($"{category} {logLevel} {formatter(state, exception)}");
        }
    }
}
