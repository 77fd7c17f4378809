using Microsoft.Extensions.DependencyInjection;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.Tests.LocalHost.Running;

/// <summary>A model of shell commands that runs, with what a test asks of it. Deleted with its data at the end.</summary>
internal sealed class RunningModel(params string[] settings) : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private DistributedApplication? _application;

    public IDistributedApplicationTestingBuilder Builder { get; } = DistributedApplicationTestingBuilder.Create(settings);

    public DistributedApplication Application => _application ?? throw new InvalidOperationException("Not started.");

    public IResourceBuilder<ExecutableResource> Shell(string name, string script) => Builder.AddExecutable(name, "sh", Path.GetTempPath(), "-c", script);

    public async Task StartAsync()
    {
        _application = await Builder.BuildAsync();
        await _application.StartAsync();
    }

    public async Task<CustomResourceSnapshot> StateAsync(string resource, string state)
    {
        using var deadline = new CancellationTokenSource(Patience);
        var change = await Application.ResourceNotifications.WaitForResourceAsync(resource, change => change.Snapshot.State?.Text == state, deadline.Token);
        return change.Snapshot;
    }

    public string? StateOf(string id) =>
        Application.ResourceNotifications.TryGetCurrentState(id, out var current) ? current.Snapshot.State?.Text : null;

    public Task<ExecuteCommandResult> CommandAsync(string id, string command) => Application.ResourceCommands.ExecuteCommandAsync(id, command);

    /// <summary>What a resource has written, without the times.</summary>
    public async Task<List<string>> LinesAsync(string id)
    {
        List<string> lines = [];
        await foreach (var batch in Application.Services.GetRequiredService<ResourceLoggerService>().GetAllAsync(id))
        {
            lines.AddRange(batch.Select(line => line.Content[(line.Content.IndexOf(' ', StringComparison.Ordinal) + 1)..]));
        }

        return lines;
    }

    /// <summary>The number that the resource writes on a line after this word, once it has.</summary>
    public async Task<int> NumberAsync(string id, string word)
    {
        var number = 0;
        await Eventually.TrueAsync(
            async () => (await LinesAsync(id)).FindLast(line => line.StartsWith(word + " ", StringComparison.Ordinal)) is { } line
                && int.TryParse(line[(word.Length + 1)..], out number),
            Patience);
        return number;
    }

    public static bool IsAlive(int pid) => ProcessTree.IdentityOf(pid) is not null;

    public async ValueTask DisposeAsync() => await Builder.DisposeAsync();
}
