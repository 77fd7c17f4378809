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

    /// <summary>Runs the process until <paramref name="ct"/> stops it or it ends and is not to be started again.</summary>
    /// <param name="running">Called each time the process has started; what it starts is cancelled when the process ends.</param>
    public async Task RunAsync(Func<CancellationToken, Task> running, CancellationToken ct)
    {
        while (true)
        {
            await PublishAsync(KnownResourceStates.Starting);
            var started = Stopwatch.StartNew();
            if (await RunOnceAsync(running, ct) is not { } exitCode || ct.IsCancellationRequested)
            {
                return;
            }

            if (restarts.AfterExit(exitCode, started.Elapsed) is not { } delay)
            {
                return;
            }

            Log.LogWarning("Starting again in {Seconds} s.", delay.TotalSeconds);
            await Task.Delay(delay, time, ct);
        }
    }

    public Task PublishAsync(string state, Func<CustomResourceSnapshot, CustomResourceSnapshot>? more = null) =>
        notifications.PublishUpdateAsync(resource, Id, snapshot =>
        {
            var style = state == KnownResourceStates.Running ? KnownResourceStateStyles.Success
                : state == KnownResourceStates.FailedToStart ? KnownResourceStateStyles.Error
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

    /// <returns>The exit code of a process that ended by itself; null when it was stopped or did not start.</returns>
    private async Task<int?> RunOnceAsync(Func<CancellationToken, Task> running, CancellationToken ct)
    {
        var ports = endpoints.TargetPorts(resource);
        ChildProcess process;
        try
        {
            process = await processes.StartAsync(resource, Id[(Id.LastIndexOf('-') + 1)..], name => ports[name], Log, ct);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            await FailAsync(exception);
            return null;
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
            Urls = [.. snapshot.Urls.Select(url => url with { IsInactive = false })],
        });

        using var ended = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var watching = running(ended.Token);
        try
        {
            await process.Exited.WaitAsync(ct);
        }
        catch (OperationCanceledException)
        {
            endpoints.Close(resource, ports);
            await PublishAsync(KnownResourceStates.Stopping);
            await process.StopAsync(StopPatience);
        }

        endpoints.Close(resource, ports);
        await ended.CancelAsync();
        await watching;

        var exitCode = await process.Exited;
        if (!ct.IsCancellationRequested && exitCode != 0)
        {
            appLog.LogError("{Resource} ended with exit code {ExitCode}: {LastWords}", Id, exitCode, process.LastWords);
        }

        await PublishAsync(KnownResourceStates.Finished, snapshot => snapshot with
        {
            ExitCode = exitCode,
            StopTimeStamp = time.GetUtcNow().UtcDateTime,
            Urls = [.. snapshot.Urls.Select(url => url with { IsInactive = true })],
        });
        return exitCode;
    }
}
