using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Running;

/// <summary>The commands that every process has: start, stop, restart, and for a project rebuild.</summary>
internal static class LifecycleCommands
{
    /// <summary>The state of a process that has failed and is started again after a while. It is no end, so what waits for the resource goes on waiting.</summary>
    public const string Restarting = "Restarting";

    private static readonly string[] Startable =
        [Restarting, KnownResourceStates.NotStarted, KnownResourceStates.Waiting, KnownResourceStates.Finished, KnownResourceStates.Exited, KnownResourceStates.FailedToStart];

    public static void Add(IResource resource, ResourceRunner runner, Processes processes)
    {
        Add(resource, KnownResourceCommands.StartCommand, "Start", "Play", highlighted: true,
            state => Startable.Contains(state) ? ResourceCommandState.Enabled : ResourceCommandState.Hidden,
            // Told to start while it waits, a resource waits no longer.
            context => runner.StartAsync(context.ResourceName, ignoreWaits: IsWaiting(context)));
        Add(resource, KnownResourceCommands.StopCommand, "Stop", "Stop", highlighted: true,
            state => state is "Running" or "RuntimeUnhealthy" or "Starting" or "Waiting" or Restarting ? ResourceCommandState.Enabled : ResourceCommandState.Hidden,
            context => runner.StopAsync(context.ResourceName));
        Add(resource, KnownResourceCommands.RestartCommand, "Restart", "ArrowCounterclockwise", highlighted: false,
            state => state is "Running" or "RuntimeUnhealthy" ? ResourceCommandState.Enabled : ResourceCommandState.Disabled,
            async context =>
            {
                await runner.StopAsync(context.ResourceName);
                await runner.StartAsync(context.ResourceName, ignoreWaits: false);
            });

        if (resource is ProjectResource project)
        {
            Add(resource, KnownResourceCommands.RebuildCommand, "Rebuild", "Wrench", highlighted: false,
                state => state is "Running" or "RuntimeUnhealthy" || Startable.Contains(state) ? ResourceCommandState.Enabled : ResourceCommandState.Disabled,
                async context =>
                {
                    await runner.StopAsync(null);
                    await processes.BuildAsync(project, context.Logger, context.CancellationToken);
                    await runner.StartAsync(null, ignoreWaits: false);
                });
        }
    }

    private static bool IsWaiting(ExecuteCommandContext context) =>
        context.Services.GetService(typeof(ResourceNotificationService)) is ResourceNotificationService notifications
        && notifications.TryGetCurrentState(context.ResourceName, out var current)
        && current.Snapshot.State?.Text == KnownResourceStates.Waiting;

    private static void Add(
        IResource resource, string name, string displayName, string icon, bool highlighted,
        Func<string?, ResourceCommandState> state, Func<ExecuteCommandContext, Task> execute) =>
        resource.Annotations.Add(new ResourceCommandAnnotation(
            name, displayName,
            context => state(context.ResourceSnapshot.State?.Text),
            async context =>
            {
                await execute(context);
                return CommandResults.Success();
            },
            displayDescription: null, arguments: null, confirmationMessage: null, icon, IconVariant.Filled, highlighted));
}
