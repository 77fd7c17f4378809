using Microsoft.Extensions.Hosting;

namespace MobileIntegration.LocalHost.Testing;

/// <summary>
/// Runs an AppHost for a test: random ports, a data folder that is deleted at the end, no dashboard. Derive from it to change the model before
/// it is built.
/// </summary>
/// <param name="entryPoint">A type of the AppHost's assembly.</param>
/// <param name="args">Arguments of the AppHost, which win over the defaults for tests.</param>
public class DistributedApplicationFactory(Type entryPoint, string[] args) : IDisposable, IAsyncDisposable
{
    private AppHostRun? _run;
    private DistributedApplication? _app;

    public DistributedApplicationFactory(Type entryPoint)
        : this(entryPoint, [])
    {
    }

    /// <summary>Starts the application; returns when all resources have been told to start.</summary>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        var app = await BuildAsync(cancellationToken);
        await app.StartAsync(cancellationToken);
    }

    /// <summary>See <see cref="DistributedApplicationHostingTestingExtensions.CreateHttpClient"/>.</summary>
    public HttpClient CreateHttpClient(string resourceName, string? endpointName = null) => Started().CreateHttpClient(resourceName, endpointName);

    /// <summary>See <see cref="DistributedApplicationHostingTestingExtensions.GetConnectionStringAsync"/>.</summary>
    public ValueTask<string?> GetConnectionString(string resourceName) => Started().GetConnectionStringAsync(resourceName);

    /// <summary>See <see cref="DistributedApplicationHostingTestingExtensions.GetEndpoint"/>.</summary>
    public Uri GetEndpoint(string resourceName, string? endpointName = null) => Started().GetEndpoint(resourceName, endpointName);

    public virtual void Dispose()
    {
        DisposeAsync().AsTask().GetAwaiter().GetResult();
        GC.SuppressFinalize(this);
    }

    public virtual async ValueTask DisposeAsync()
    {
        if (_app is not null)
        {
            await _app.DisposeAsync();
        }
        else if (_run is not null)
        {
            await _run.AbandonAsync();
        }

        GC.SuppressFinalize(this);
    }

    internal Task<DistributedApplicationBuilder> BuilderAsync(CancellationToken ct) => Run().BuilderAsync(ct);

    internal async Task<DistributedApplication> BuildAsync(CancellationToken ct) => _app ??= await Run().BuildAsync(ct);

    protected virtual void OnBuilderCreating(DistributedApplicationOptions applicationOptions, HostApplicationBuilderSettings hostOptions)
    {
    }

    protected virtual void OnBuilderCreated(DistributedApplicationBuilder applicationBuilder)
    {
    }

    protected virtual void OnBuilding(DistributedApplicationBuilder applicationBuilder)
    {
    }

    protected virtual void OnBuilt(DistributedApplication application)
    {
    }

    private AppHostRun Run()
    {
        if (_run is null)
        {
            var hook = new BuilderHook(
                (options, settings) =>
                {
                    TestingDefaults.Apply(options, settings, entryPoint.Assembly);
                    OnBuilderCreating(options, settings);
                },
                builder =>
                {
                    TestingDefaults.Apply(builder);
                    OnBuilderCreated(builder);
                },
                OnBuilding,
                OnBuilt);
            _run = new AppHostRun(entryPoint, args, hook);
        }

        return _run;
    }

    private DistributedApplication Started() => _app ?? throw new InvalidOperationException("The application has not been started. Call StartAsync first.");
}
