using System.Diagnostics;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Running;

/// <summary>One running copy of a resource: its process, its state as published, its restarts.</summary>
internal sealed class Instance(
    IResource resource, string id, Processes processes, Endpoints endpoints, RestartPolicy restarts,
    ResourceNotificationService notifications, ILogger log, ILogger appLog, TimeProvider time)
{
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(6);

    /// <summary>The resource's name, or with several replicas the name and a suffix.</summary>
    public string Id { get; } = id;

    public ILogger Log { get; } = log;

    /// <summary>Whether the process has failed and the next start is a while away.</summary>
    public bool IsBetweenStarts { get; private set; }

    /// <summary>Runs the process until <paramref name="ct"/> stops it or it ends and is not to be started again.</summary>
    /// <param name="running">Called each time the process has started; what it starts is cancelled when the process ends.</param>
    public async Task RunAsync(Func<CancellationToken, Task> running, CancellationToken ct)
    {
        endpoints.BeginLife(resource);
        try
        {
            for (var isFirst = true; await RunOnceAsync(running, isFirst, ct) is { } delay; isFirst = false)
            {
                Log.LogWarning("Starting again in {Seconds} s.", delay.TotalSeconds);
                IsBetweenStarts = true;
                try
                {
                    await Task.Delay(delay, time, ct);
                }
                finally
                {
                    IsBetweenStarts = false;
                }
            }
        }
        finally
        {
            endpoints.EndLife(resource);
        }
    }

    public Task PublishAsync(string state, Func<CustomResourceSnapshot, CustomResourceSnapshot>? more = null) =>
        notifications.PublishUpdateAsync(resource, Id, snapshot =>
        {
            var style = state == KnownResourceStates.Running ? KnownResourceStateStyles.Success
                : state == KnownResourceStates.FailedToStart ? KnownResourceStateStyles.Error
                : state == LifecycleCommands.Restarting ? KnownResourceStateStyles.Warn
                : state is "Starting" or "Stopping" or "Waiting" or "Building" ? KnownResourceStateStyles.Info
                : null;
            snapshot = snapshot with { State = new ResourceStateSnapshot(state, style) };
            return more is null ? snapshot : more(snapshot);
        });

    /// <summary>The start has failed: the reason goes to the resource's log and to the AppHost's own.</summary>
    public async Task FailAsync(Exception exception)
    {
        var reason = StartErrors.MessageOf(exception) ?? exception.ToString();
        Log.LogError("{Reason}", reason);
        appLog.LogError("{Resource} could not be started: {Reason}", Id, reason);
        await PublishAsync(KnownResourceStates.FailedToStart, snapshot => snapshot with { StopTimeStamp = time.GetUtcNow().UtcDateTime });
    }

    /// <returns>After how long to start again; null when the process is not to.</returns>
    private async Task<TimeSpan?> RunOnceAsync(Func<CancellationToken, Task> running, bool isFirst, CancellationToken ct)
    {
        await PublishAsync(KnownResourceStates.Starting);
        var started = Stopwatch.StartNew();
        var ports = endpoints.TargetPorts(resource);
        ChildProcess process;
        try
        {
            process = await processes.StartAsync(resource, Id[(Id.LastIndexOf('-') + 1)..], name => ports[name], Log, ct);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            endpoints.Release(resource, ports);
            await FailAsync(exception);

            // It has run before, so the reason may pass, as the port of a process that is still ending.
            var retry = isFirst ? null : restarts.AfterExit(exitCode: -1, started.Elapsed);
            if (retry is not null)
            {
                await PublishAsync(LifecycleCommands.Restarting);
            }

            return retry;
        }

        endpoints.Open(resource, ports);
        await PublishAsync(KnownResourceStates.Running, snapshot => snapshot with
        {
            StartTimeStamp = time.GetUtcNow().UtcDateTime,
            StopTimeStamp = null,
            ExitCode = null,
            HealthReports = HealthMonitor.Pending(resource),
            ResourceReady = null,
            Properties = snapshot.Properties.With("executable.pid", process.Id),
            EnvironmentVariables = process.Environment,
            Urls = [.. snapshot.Urls.Select(url => url with { IsInactive = false })],
        });

        using var ended = CancellationTokenSource.CreateLinkedTokenSource(ct);
        Endpoints.Watch(resource, ports);
        var watching = running(ended.Token);
        try
        {
            await process.Exited.WaitAsync(ct);
        }
        catch (OperationCanceledException)
        {
            await PublishAsync(KnownResourceStates.Stopping);
        }

        endpoints.Close(resource, ports);
        await process.StopAsync(StopPatience);
        endpoints.Release(resource, ports);
        await ended.CancelAsync();
        await watching;

        var exitCode = await process.Exited;
        if (!ct.IsCancellationRequested && exitCode != 0)
        {
            appLog.LogError("{Resource} ended with exit code {ExitCode}: {LastWords}", Id, exitCode, process.LastWords);
        }

        var delay = ct.IsCancellationRequested ? null : restarts.AfterExit(exitCode, started.Elapsed);
        await PublishAsync(delay is null ? KnownResourceStates.Finished : LifecycleCommands.Restarting, snapshot => snapshot with
        {
            ExitCode = exitCode,
            StopTimeStamp = time.GetUtcNow().UtcDateTime,
            Urls = [.. snapshot.Urls.Select(url => url with { IsInactive = true })],
        });
        return delay;
    }
}
