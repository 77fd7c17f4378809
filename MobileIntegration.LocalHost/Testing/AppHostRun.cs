using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MobileIntegration.LocalHost.Testing;

/// <summary>
/// Runs an AppHost's own entry point in the test's process, on a thread of its own, and holds it at two places: when it is about to build,
/// so that the test can still change the model, and when it has built, until the test starts the application.
/// </summary>
internal sealed class AppHostRun
{
    private readonly TaskCompletionSource<DistributedApplicationBuilder> _building = New<DistributedApplicationBuilder>();
    private readonly TaskCompletionSource<DistributedApplication> _built = New<DistributedApplication>();
    private readonly TaskCompletionSource _mayBuild = New();
    private readonly TaskCompletionSource _mayRun = New();

    /// <param name="hook">Called besides; may be null in each place.</param>
    public AppHostRun(Type entryPoint, string[] args, BuilderHook hook)
    {
        var main = entryPoint.Assembly.EntryPoint
            ?? throw new ArgumentException($"The assembly of {entryPoint} has no entry point. Name a type of the AppHost's assembly, such as Projects.MyAppHost.", nameof(entryPoint));

        Ended = RunAsync(main, args, hook with
        {
            OnBuilding = builder =>
            {
                hook.OnBuilding?.Invoke(builder);
                _building.TrySetResult(builder);
                _mayBuild.Task.GetAwaiter().GetResult();
            },
            OnBuilt = app =>
            {
                hook.OnBuilt?.Invoke(app);
                _built.TrySetResult(app);
                _mayRun.Task.GetAwaiter().GetResult();
            },
        });
    }

    /// <summary>The end of the entry point, with the exception that it ended with.</summary>
    public Task Ended { get; }

    public async Task<DistributedApplicationBuilder> BuilderAsync(CancellationToken ct) => await FirstAsync(_building.Task, ct);

    public async Task<DistributedApplication> BuildAsync(CancellationToken ct)
    {
        await BuilderAsync(ct);
        _mayBuild.TrySetResult();
        var app = await FirstAsync(_built.Task, ct);
        return new TestedApplication(app, this);
    }

    public async Task StartAsync(DistributedApplication app, CancellationToken ct)
    {
        _mayRun.TrySetResult();
        var started = New();
        await using var registration = app.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStarted.Register(() => started.TrySetResult());
        if (await Task.WhenAny(started.Task, Ended).WaitAsync(ct) == Ended)
        {
            await Ended;
        }
    }

    /// <summary>Lets the entry point go, from wherever it is held.</summary>
    public async Task AbandonAsync()
    {
        _mayBuild.TrySetException(new HostAbortedException());
        _mayRun.TrySetException(new HostAbortedException());
        try
        {
            await Ended;
        }
        catch (Exception)
        {
            // Whoever waited for the start or the stop has been told; an abandoned run has nobody to tell.
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static TaskCompletionSource<T> New<T>() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static Task RunAsync(MethodInfo main, string[] args, BuilderHook hook)
    {
        var ended = New();
        var thread = new Thread(() =>
        {
            try
            {
                BuilderHook.Current.Value = hook;
                var result = main.Invoke(null, main.GetParameters().Length == 0 ? [] : [args]);
                if (result is Task task)
                {
                    task.GetAwaiter().GetResult();
                }

                ended.SetResult();
            }
            catch (TargetInvocationException exception)
            {
                ended.SetException(exception.InnerException!);
            }
            catch (Exception exception)
            {
                ended.SetException(exception);
            }
        })
        { IsBackground = true, Name = "AppHost entry point" };
        thread.Start();
        return ended.Task;
    }

    private async Task<T> FirstAsync<T>(Task<T> wanted, CancellationToken ct)
    {
        if (await Task.WhenAny(wanted, Ended).WaitAsync(ct) == wanted)
        {
            return await wanted;
        }

        await Ended;
        throw new InvalidOperationException("The AppHost's entry point returned without building an application.");
    }
}

/// <summary>The application as the test sees it, while the AppHost's own code runs it.</summary>
internal sealed class TestedApplication(DistributedApplication app, AppHostRun run) : DistributedApplication(app)
{
    // The AppHost's own code disposes the services when it ends.
    private readonly IHostApplicationLifetime _lifetime = app.Services.GetRequiredService<IHostApplicationLifetime>();

    public override Task StartAsync(CancellationToken cancellationToken = default) => run.StartAsync(this, cancellationToken);

    public override async Task RunAsync(CancellationToken cancellationToken = default)
    {
        await StartAsync(cancellationToken);
        await using var registration = cancellationToken.Register(_lifetime.StopApplication);
        await run.Ended;
    }

    public override async Task StopAsync(CancellationToken cancellationToken = default)
    {
        _lifetime.StopApplication();
        await run.Ended.WaitAsync(cancellationToken);
    }

    public override void Dispose()
    {
        EndAsync().GetAwaiter().GetResult();
        base.Dispose();
    }

    public override async ValueTask DisposeAsync()
    {
        await EndAsync();
        await base.DisposeAsync();
    }

    private async Task EndAsync()
    {
        if (!run.Ended.IsCompleted)
        {
            _lifetime.StopApplication();
        }

        await run.AbandonAsync();
    }
}
