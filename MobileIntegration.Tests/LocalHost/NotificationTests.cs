using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace MobileIntegration.Tests.LocalHost;

public sealed class NotificationTests : IDisposable
{
    private readonly TestModel _model = new();
    private readonly IResourceBuilder<Thing> _thing;

    public NotificationTests() => _thing = _model.Builder.AddResource(new Thing("thing"));

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task A_watcher_sees_the_present_state_and_then_every_change_in_order()
    {
        await _model.SetStateAsync(_thing.Resource, "One");
        await using var watch = _model.Notifications.WatchAsync().GetAsyncEnumerator();
        Assert.True(await watch.MoveNextAsync());
        Assert.Equal("One", watch.Current.Snapshot.State?.Text);

        for (var i = 0; i < 1000; i++)
        {
            await _model.SetStateAsync(_thing.Resource, $"State {i}");
        }

        for (var i = 0; i < 1000; i++)
        {
            Assert.True(await watch.MoveNextAsync());
            Assert.Equal($"State {i}", watch.Current.Snapshot.State?.Text);
        }
    }

    [Fact]
    public async Task Changes_from_many_threads_are_made_one_at_a_time()
    {
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < 500; i++)
            {
                await _model.Notifications.PublishUpdateAsync(_thing.Resource, snapshot => snapshot with { ExitCode = (snapshot.ExitCode ?? 0) + 1 });
            }
        })));
        Assert.True(_model.Notifications.TryGetCurrentState("thing", out var state));
        Assert.Equal(4000, state.Snapshot.ExitCode);
    }

    [Fact]
    public async Task What_is_said_of_a_resource_is_said_of_all_its_instances()
    {
        await _model.Notifications.PublishUpdateAsync(_thing.Resource, "thing-a", snapshot => snapshot with { State = "Starting" });
        await _model.Notifications.PublishUpdateAsync(_thing.Resource, "thing-b", snapshot => snapshot with { State = "Starting" });
        await _model.SetStateAsync(_thing.Resource, KnownResourceStates.Running);
        Assert.False(_model.Notifications.TryGetCurrentState("thing", out _));
        Assert.All(_model.Notifications.CurrentStates, state => Assert.Equal(KnownResourceStates.Running, state.Snapshot.State?.Text));
        Assert.Equal(2, _model.Notifications.CurrentStates.Count);
    }

    [Fact]
    public async Task Waiting_for_health_waits_for_every_instance_and_for_the_ready_handlers()
    {
        var ready = new TaskCompletionSource();
        _thing.OnResourceReady((_, _, _) => ready.Task);
        await _model.Notifications.PublishUpdateAsync(_thing.Resource, "thing-a", snapshot => snapshot with { State = KnownResourceStates.Running });
        await _model.Notifications.PublishUpdateAsync(_thing.Resource, "thing-b", snapshot => snapshot with { State = KnownResourceStates.Starting });

        var waiting = _model.Notifications.WaitForResourceHealthyAsync("thing");
        var publishing = _model.Notifications.PublishReadyAsync(_thing.Resource, _model.Builder.Eventing, CancellationToken.None);
        Assert.False(waiting.IsCompleted);

        await _model.Notifications.PublishUpdateAsync(_thing.Resource, "thing-b", snapshot => snapshot with { State = KnownResourceStates.Running });
        Assert.False(waiting.IsCompleted);

        ready.SetResult();
        await publishing;
        Assert.Equal("thing", (await waiting).Resource.Name);
    }

    [Fact]
    public async Task A_resource_that_ended_ends_the_wait_for_its_health_if_so_asked()
    {
        await _model.SetStateAsync(_thing.Resource, KnownResourceStates.Finished, exitCode: 7);
        var failure = await Assert.ThrowsAsync<DistributedApplicationException>(
            () => _model.Notifications.WaitForResourceHealthyAsync("thing", WaitBehavior.StopOnResourceUnavailable));
        Assert.Contains("Finished with exit code 7", failure.Message, StringComparison.Ordinal);

        var patient = _model.Notifications.WaitForResourceHealthyAsync("thing", WaitBehavior.WaitOnResourceUnavailable);
        Assert.False(patient.IsCompleted);
        await _model.SetReadyAsync(_thing.Resource);
        await patient;
    }

    [Fact]
    public async Task Waiting_for_one_of_several_states_tells_which_came()
    {
        var waiting = _model.Notifications.WaitForResourceAsync("THING", ["Good", "Bad"]);
        await _model.SetStateAsync(_thing.Resource, "Neutral");
        Assert.False(waiting.IsCompleted);
        await _model.SetStateAsync(_thing.Resource, "Bad");
        Assert.Equal("Bad", await waiting);
    }

    [Fact]
    public async Task Waiting_for_a_resource_that_is_not_there_fails_at_once()
    {
        var failure = await Assert.ThrowsAsync<ArgumentException>(() => _model.Notifications.WaitForResourceAsync("thnig"));
        Assert.Contains("there are: thing", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wait_ends_when_it_is_cancelled()
    {
        using var cancelled = new CancellationTokenSource();
        var waiting = _model.Notifications.WaitForResourceAsync("thing", cancellationToken: cancelled.Token);
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    [Fact]
    public void Health_is_known_only_while_running_and_is_the_worst_report()
    {
        var snapshot = new CustomResourceSnapshot { ResourceType = "Thing", Properties = [] };
        Assert.Null((snapshot with { State = "Starting" }).HealthStatus);

        var running = snapshot with { State = KnownResourceStates.Running };
        Assert.Equal(HealthStatus.Healthy, running.HealthStatus);
        Assert.Equal(HealthStatus.Degraded, running.WithHealthReports([new("a", HealthStatus.Healthy, null, null), new("b", HealthStatus.Degraded, null, null)]).HealthStatus);
        Assert.Equal(HealthStatus.Unhealthy, running.WithHealthReports([new("a", HealthStatus.Healthy, null, null), new("b", null, null, null)]).HealthStatus);
        Assert.Null((running.WithHealthReports([new("a", HealthStatus.Healthy, null, null)]) with { State = "Stopping" }).HealthStatus);
    }

    [Fact]
    public async Task A_snapshot_has_the_icon_relationships_and_commands_of_the_model()
    {
        var other = _model.Builder.AddResource(new Thing("other"));
        _thing.WithIconName("Box").WaitFor(other).WithCommand(
            "go", "Go", _ => Task.FromResult(CommandResults.Success()),
            new() { UpdateState = context => context.ResourceSnapshot.State?.Text == "On" ? ResourceCommandState.Enabled : ResourceCommandState.Disabled });
        await _model.SetStateAsync(_thing.Resource, "Off");
        Assert.True(_model.Notifications.TryGetCurrentState("thing", out var off));
        await _model.SetStateAsync(_thing.Resource, "On");
        Assert.True(_model.Notifications.TryGetCurrentState("thing", out var on));

        Assert.Equal(ResourceCommandState.Disabled, Assert.Single(off.Snapshot.Commands).State);
        Assert.Equal(ResourceCommandState.Enabled, Assert.Single(on.Snapshot.Commands).State);
        Assert.Equal("Box", on.Snapshot.IconName);
        Assert.Equal(new RelationshipSnapshot("other", "WaitFor"), Assert.Single(on.Snapshot.Relationships));
    }
}
