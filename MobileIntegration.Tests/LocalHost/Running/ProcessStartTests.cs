using MobileIntegration.LocalHost.Eventing;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.Tests.LocalHost.Running;

/// <summary>How processes start, and start again.</summary>
public class ProcessStartTests
{
    [Fact]
    public async Task A_program_that_is_not_there_fails_to_start_and_the_log_says_so()
    {
        await using var model = new RunningModel();
        model.Builder.AddExecutable("one", "no-such-program", Path.GetTempPath());
        model.Builder.AddExecutable("two", "sh", "/no/such/folder");
        await model.StartAsync();

        await model.StateAsync("one", KnownResourceStates.FailedToStart);
        await model.StateAsync("two", KnownResourceStates.FailedToStart);

        Assert.Contains(await model.LinesAsync("one"), line => line.Contains("there is no such program on the PATH. Install it", StringComparison.Ordinal));
        Assert.Contains(await model.LinesAsync("two"), line => line.Contains("its working directory /no/such/folder is not there", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_resource_stopped_while_it_waits_does_not_start_when_the_wait_would_be_over()
    {
        await using var model = new RunningModel();
        var late = model.Shell("late", "exec sleep 1000").WithExplicitStart();
        model.Shell("waiter", "echo started; exec sleep 1000").WaitFor(late);
        await model.StartAsync();
        await model.StateAsync("waiter", KnownResourceStates.Waiting);

        await model.CommandAsync("waiter", KnownResourceCommands.StopCommand);
        await model.CommandAsync("late", KnownResourceCommands.StartCommand);
        await model.StateAsync("late", KnownResourceStates.Running);

        Assert.Equal(KnownResourceStates.NotStarted, model.StateOf("waiter"));
        Assert.DoesNotContain("started", await model.LinesAsync("waiter"));
    }

    [Fact]
    public async Task A_start_ends_the_wait()
    {
        await using var model = new RunningModel();
        var late = model.Shell("late", "exec sleep 1000").WithExplicitStart();
        model.Shell("waiter", "exec sleep 1000").WaitFor(late);
        await model.StartAsync();
        await model.StateAsync("waiter", KnownResourceStates.Waiting);

        await model.CommandAsync("waiter", KnownResourceCommands.StartCommand);

        await model.StateAsync("waiter", KnownResourceStates.Running);
    }

    [Fact]
    public async Task Many_commands_at_once_leave_one_process()
    {
        await using var model = new RunningModel();
        model.Shell("one", "echo self $$; exec sleep 1000");
        await model.StartAsync();
        await model.StateAsync("one", KnownResourceStates.Running);

        string[] commands = [KnownResourceCommands.RestartCommand, KnownResourceCommands.StartCommand, KnownResourceCommands.StopCommand];
        await Task.WhenAll(Enumerable.Range(0, 12).Select(number => Task.Run(() => model.CommandAsync("one", commands[number % 3]))));
        await model.CommandAsync("one", KnownResourceCommands.StartCommand);
        await model.StateAsync("one", KnownResourceStates.Running);

        await Eventually.TrueAsync(
            async () => (await Pids()).Count(RunningModel.IsAlive) == 1, RunningModel.Patience);
        await model.CommandAsync("one", KnownResourceCommands.StopCommand);
        Assert.DoesNotContain(await Pids(), RunningModel.IsAlive);

        async Task<List<int>> Pids() =>
            [.. (await model.LinesAsync("one")).Where(line => line.StartsWith("self ", StringComparison.Ordinal)).Select(line => int.Parse(line[5..]))];
    }

    [Fact]
    public async Task Nothing_starts_while_the_application_ends()
    {
        await using var model = new RunningModel();
        var file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        model.Shell("slow", $"trap 'while [ ! -e {file} ]; do sleep 0.05; done; exit' TERM; echo ready 1; while :; do sleep 0.05; done");
        model.Shell("late", "exec sleep 1000").WithExplicitStart();
        await model.StartAsync();
        await model.NumberAsync("slow", "ready");

        var stop = model.Application.StopAsync();
        await Eventually.TrueAsync(() => model.StateOf("slow") == KnownResourceStates.Stopping, RunningModel.Patience);
        var start = await model.CommandAsync("late", KnownResourceCommands.StartCommand);
        await File.WriteAllTextAsync(file, "");
        await stop;
        File.Delete(file);

        Assert.False(start.Success);
        Assert.Contains("the application is ending", start.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_crashed_process_starts_again_after_a_while_or_when_told()
    {
        await using var model = new RunningModel("RestartPolicy=on-failure");
        var file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        model.Shell("weak", $"echo tried; [ -e {file} ] && exec sleep 1000; exit 1");
        await model.StartAsync();
        await Eventually.TrueAsync(async () => (await model.LinesAsync("weak")).Contains("Starting again in 2 s."), RunningModel.Patience);
        await model.StateAsync("weak", LifecycleCommands.Restarting);

        await File.WriteAllTextAsync(file, "");
        await model.CommandAsync("weak", KnownResourceCommands.StartCommand);
        await model.StateAsync("weak", KnownResourceStates.Running);
        File.Delete(file);

        Assert.Contains("Starting again in 1 s.", await model.LinesAsync("weak"));
    }

    [Fact]
    public async Task A_restart_of_one_replica_leaves_the_other_running()
    {
        await using var model = new RunningModel();
        var need = model.Shell("need", "exec sleep 1000");
        var twins = model.Shell("twins", "echo self $$; exec sleep 1000").WaitFor(need).WithAnnotation(new ReplicaAnnotation(2));
        await model.StartAsync();
        var ids = twins.Resource.Annotations.OfType<ResourceInstancesAnnotation>().Single().Ids;
        await Eventually.TrueAsync(() => ids.All(id => model.StateOf(id) == KnownResourceStates.Running), RunningModel.Patience);
        int[] before = [await model.NumberAsync(ids[0], "self"), await model.NumberAsync(ids[1], "self")];

        await model.CommandAsync(ids[0], KnownResourceCommands.RestartCommand);

        await Eventually.TrueAsync(() => ids.All(id => model.StateOf(id) == KnownResourceStates.Running), RunningModel.Patience);
        await Eventually.TrueAsync(async () => await model.NumberAsync(ids[0], "self") != before[0], RunningModel.Patience);
        Assert.False(RunningModel.IsAlive(before[0]));
        Assert.True(RunningModel.IsAlive(before[1]));
    }

    [Fact]
    public async Task A_replica_that_does_not_listen_is_not_healthy_because_its_twin_answers()
    {
        await using var model = new RunningModel();
        var first = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        var serve = "require('http').createServer((_, answer) => answer.end()).listen(process.env.PORT, '127.0.0.1')";
        var twins = model.Shell("twins", $"if mkdir {first}; then exec node -e \"{serve}\"; fi; exec sleep 1000")
            .WithHttpEndpoint(env: "PORT").WithHttpHealthCheck().WithAnnotation(new ReplicaAnnotation(2));
        await model.StartAsync();
        var ids = twins.Resource.Annotations.OfType<ResourceInstancesAnnotation>().Single().Ids;

        await Eventually.TrueAsync(() => ids.Select(HealthOf).Order().SequenceEqual(["cannot be reached", "Healthy"]), RunningModel.Patience);
        Directory.Delete(first);

        string HealthOf(string id)
        {
            var report = model.Application.ResourceNotifications.TryGetCurrentState(id, out var current) ? current.Snapshot.HealthReports.FirstOrDefault() : null;
            return report?.Description?.Contains("cannot be reached", StringComparison.Ordinal) is true ? "cannot be reached" : $"{report?.Status}";
        }
    }

    [Fact]
    public async Task A_health_check_that_is_not_registered_stops_the_start()
    {
        await using var model = new RunningModel();
        model.Shell("one", "exec sleep 1000").WithHealthCheck("missing");

        var failure = await Assert.ThrowsAsync<DistributedApplicationException>(model.StartAsync);

        Assert.Contains("'one' has the health check 'missing', which is not there.", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_resource_that_a_handler_adds_before_the_start_starts_with_the_others()
    {
        await using var model = new RunningModel();
        model.Builder.OnBeforeStart((_, _) =>
        {
            model.Shell("added", "exec sleep 1000");
            return Task.CompletedTask;
        });
        await model.StartAsync();

        await model.StateAsync("added", KnownResourceStates.Running);
    }

    [Fact]
    public async Task Events_come_in_the_documented_order()
    {
        await using var model = new RunningModel();
        model.Shell("one", "exec sleep 1000").WithHttpEndpoint();
        model.Builder.AddConnectionString("made", ReferenceExpression.Create($"Host=somewhere"));
        List<string> events = [];
        On<BeforeStartEvent>(_ => "model");
        On<AfterResourcesCreatedEvent>(_ => "model");
        OnResource<InitializeResourceEvent>();
        OnResource<ResourceEndpointsAllocatedEvent>();
        OnResource<ConnectionStringAvailableEvent>();
        OnResource<BeforeResourceStartedEvent>();
        OnResource<ResourceReadyEvent>();
        OnResource<ResourceStoppedEvent>();
        await model.StartAsync();
        await Eventually.TrueAsync(() => Of("one").Contains("ResourceReady"), RunningModel.Patience);
        await model.CommandAsync("one", KnownResourceCommands.StopCommand);
        await Eventually.TrueAsync(() => Of("one").Contains("ResourceStopped"), RunningModel.Patience);

        Assert.Equal(["BeforeStart", "AfterResourcesCreated"], Of("model"));
        Assert.Equal("model BeforeStart", events[0]);
        Assert.Equal(["InitializeResource", "ResourceEndpointsAllocated", "BeforeResourceStarted", "ResourceReady", "ResourceStopped"], Of("one"));
        Assert.Equal(["InitializeResource", "ResourceEndpointsAllocated", "ConnectionStringAvailable"], Of("made").Take(3));

        void OnResource<T>()
            where T : IDistributedApplicationResourceEvent => On<T>(happened => happened.Resource.Name);

        void On<T>(Func<T, string> of)
            where T : IDistributedApplicationEvent => model.Builder.Eventing.Subscribe<T>((happened, _) =>
        {
            lock (events)
            {
                events.Add($"{of(happened)} {typeof(T).Name[..^"Event".Length]}");
            }

            return Task.CompletedTask;
        });

        List<string> Of(string name)
        {
            lock (events)
            {
                return [.. events.Where(one => one.StartsWith($"{name} ", StringComparison.Ordinal)).Select(one => one[(name.Length + 1)..])];
            }
        }
    }
}
