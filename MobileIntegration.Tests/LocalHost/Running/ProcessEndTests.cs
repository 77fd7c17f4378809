using System.Diagnostics;

namespace MobileIntegration.Tests.LocalHost.Running;

/// <summary>How processes end, and that all of them do.</summary>
public class ProcessEndTests
{
    [Fact]
    public async Task What_a_process_leaves_behind_ends_with_it()
    {
        await using var model = new RunningModel();
        model.Shell("parent", "sleep 1000 & echo child $!; exit 3");
        await model.StartAsync();

        var end = await model.StateAsync("parent", KnownResourceStates.Finished);

        Assert.Equal(3, end.ExitCode);
        Assert.False(RunningModel.IsAlive(await model.NumberAsync("parent", "child")));
    }

    [Fact]
    public async Task A_process_that_ignores_TERM_is_killed_with_its_children_after_six_seconds()
    {
        await using var model = new RunningModel();
        model.Shell("deaf", "trap '' TERM; echo self $$; sleep 1000 & echo child $!; while :; do wait; done");
        await model.StartAsync();
        int[] pids = [await model.NumberAsync("deaf", "self"), await model.NumberAsync("deaf", "child")];
        Assert.All(pids, pid => Assert.True(RunningModel.IsAlive(pid)));

        var stopped = Stopwatch.StartNew();
        await model.CommandAsync("deaf", KnownResourceCommands.StopCommand);

        Assert.All(pids, pid => Assert.False(RunningModel.IsAlive(pid)));
        Assert.True(stopped.Elapsed >= TimeSpan.FromSeconds(5.9), "It had no time to end by itself.");
        Assert.Equal(KnownResourceStates.Finished, model.StateOf("deaf"));
    }

    [Fact]
    public async Task A_child_that_ends_in_order_is_given_the_time_to_when_its_parent_has_ended()
    {
        await using var model = new RunningModel();
        model.Shell("parent", "sh -c 'trap \"sleep 1; echo child is done; exit\" TERM; echo ready 1; while :; do sleep 0.1; done' & wait");
        await model.StartAsync();
        await model.NumberAsync("parent", "ready");

        await model.CommandAsync("parent", KnownResourceCommands.StopCommand);

        Assert.Contains("child is done", await model.LinesAsync("parent"));
    }

    [Fact]
    public async Task A_child_that_left_the_session_ends_with_the_others()
    {
        await using var model = new RunningModel();
        model.Shell("parent", "setsid sleep 1000 & echo child $!; wait");
        await model.StartAsync();
        var child = await model.NumberAsync("parent", "child");
        Assert.True(RunningModel.IsAlive(child));

        await model.CommandAsync("parent", KnownResourceCommands.StopCommand);

        Assert.False(RunningModel.IsAlive(child));
    }

    [Fact]
    public async Task Every_line_that_a_process_wrote_before_its_end_is_in_its_log()
    {
        await using var model = new RunningModel();
        model.Shell("writer", "seq 1 5000; printf 'the last without an end'");
        await model.StartAsync();

        await model.StateAsync("writer", KnownResourceStates.Finished);

        Assert.Equal([.. Enumerable.Range(1, 5000).Select(number => $"{number}"), "the last without an end"], await model.LinesAsync("writer"));
    }

    [Fact]
    public async Task Those_that_need_others_stop_first_also_when_the_need_is_a_connection_string()
    {
        var file = Path.GetTempFileName();
        await using (var model = new RunningModel())
        {
            var server = model.Shell("server", Script("server")).WithHttpEndpoint();
            var address = model.Builder.AddConnectionString("address", ReferenceExpression.Create($"{server.GetEndpoint("http")}"));
            model.Shell("user", Script("user")).WithReference(address);
            model.Shell("waiter", Script("waiter")).WaitFor(server);
            await model.StartAsync();
            await model.NumberAsync("server", "ready");
            await model.NumberAsync("user", "ready");
            await model.NumberAsync("waiter", "ready");

            await model.Application.StopAsync();
        }

        var ended = await File.ReadAllLinesAsync(file);
        File.Delete(file);
        Assert.Equal(3, ended.Length);
        Assert.Equal("server", ended[^1]);

        string Script(string name) => $"trap 'sleep 0.3; echo {name} >> {file}; exit' TERM; echo ready 1; while :; do sleep 0.1; done";
    }

    [Fact]
    public async Task A_failing_handler_of_the_stopped_event_keeps_nothing_from_stopping()
    {
        await using var model = new RunningModel();
        var first = model.Shell("first", "echo self $$; exec sleep 1000")
            .OnResourceStopped((_, _, _) => throw new InvalidOperationException("The handler is broken."));
        model.Shell("second", "echo self $$; exec sleep 1000").WaitFor(first);
        await model.StartAsync();
        int[] pids = [await model.NumberAsync("first", "self"), await model.NumberAsync("second", "self")];

        await model.Application.StopAsync();

        Assert.All(pids, pid => Assert.False(RunningModel.IsAlive(pid)));
    }

    [Fact]
    public async Task A_ready_handler_that_never_returns_holds_up_no_stop()
    {
        await using var model = new RunningModel();
        var called = new TaskCompletionSource();
        model.Shell("one", "exec sleep 1000").OnResourceReady(async (_, _, _) =>
        {
            called.SetResult();
            await new TaskCompletionSource().Task;
        });
        await model.StartAsync();
        await called.Task.WaitAsync(RunningModel.Patience);

        await model.CommandAsync("one", KnownResourceCommands.StopCommand).WaitAsync(RunningModel.Patience);

        Assert.Equal(KnownResourceStates.Finished, model.StateOf("one"));
    }
}
