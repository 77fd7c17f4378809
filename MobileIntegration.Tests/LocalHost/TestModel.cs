using Microsoft.Extensions.DependencyInjection;

namespace MobileIntegration.Tests.LocalHost;

/// <summary>A model of a test's own, with a folder of its own for the AppHost and its user secrets; what it builds is not started.</summary>
internal sealed class TestModel : IDisposable
{
    private readonly Lazy<DistributedApplication> _application;

    public TestModel(params string[] settings)
        : this(null, settings)
    {
    }

    public TestModel(string? folder, string[] settings)
    {
        Folder = folder ?? Directory.CreateTempSubdirectory("model-").FullName;
        Builder = new(new DistributedApplicationOptions
        {
            Args = settings,
            DisableDashboard = true,
            ProjectDirectory = Folder,
            UserSecretsPath = SecretsFile,
        });
        _application = new(Builder.Build);
    }

    public string Folder { get; }

    public string SecretsFile => Path.Combine(Folder, "secrets", "secrets.json");

    public DistributedApplicationBuilder Builder { get; }

    public DistributedApplication Application => _application.Value;

    public ResourceNotificationService Notifications => Application.ResourceNotifications;

    public ResourceLoggerService Logs => Service<ResourceLoggerService>();

    public T Service<T>()
        where T : notnull => Application.Services.GetRequiredService<T>();

    public Task SetStateAsync(IResource resource, string state, int? exitCode = null) =>
        Notifications.PublishUpdateAsync(resource, snapshot => snapshot with { State = state, ExitCode = exitCode });

    /// <summary>Running, healthy and ready.</summary>
    public async Task SetReadyAsync(IResource resource)
    {
        await SetStateAsync(resource, KnownResourceStates.Running);
        await Notifications.PublishReadyAsync(resource, Builder.Eventing, CancellationToken.None);
    }

    public void Dispose()
    {
        if (_application.IsValueCreated)
        {
            _application.Value.Dispose();
        }

        Directory.Delete(Folder, recursive: true);
    }
}

/// <summary>A resource without any process.</summary>
internal sealed class Thing(string name) : Resource(name), IResourceWithWaitSupport, IResourceWithEnvironment, IResourceWithArgs, IResourceWithEndpoints;
