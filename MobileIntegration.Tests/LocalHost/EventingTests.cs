using MobileIntegration.LocalHost.Eventing;

namespace MobileIntegration.Tests.LocalHost;

public sealed class EventingTests
{
    private readonly DistributedApplicationEventing _eventing = new();
    private readonly List<string> _called = [];

    [Fact]
    public async Task Handlers_are_called_one_after_another_in_the_order_of_their_subscriptions()
    {
        var gate = new TaskCompletionSource();
        _eventing.Subscribe<Happened>(async (_, _) =>
        {
            await gate.Task;
            _called.Add("first");
        });
        _eventing.Subscribe<Happened>(Call("second"));
        var publishing = _eventing.PublishAsync(new Happened());
        Assert.Empty(_called);
        gate.SetResult();
        await publishing;
        Assert.Equal(["first", "second"], _called);
    }

    [Fact]
    public async Task Concurrent_handlers_do_not_wait_for_each_other()
    {
        var second = new TaskCompletionSource();
        _eventing.Subscribe<Happened>((_, _) => second.Task);
        _eventing.Subscribe<Happened>((_, _) =>
        {
            second.SetResult();
            return Task.CompletedTask;
        });
        await _eventing.PublishAsync(new Happened(), EventDispatchBehavior.BlockingConcurrent).WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Publishing_without_blocking_returns_at_once_and_reports_a_fault()
    {
        var gate = new TaskCompletionSource();
        var fault = new TaskCompletionSource<Exception>();
        _eventing.OnUnobservedFailure = (_, exception) => fault.SetResult(exception);
        _eventing.Subscribe<Happened>(async (_, _) =>
        {
            await gate.Task;
            throw new InvalidOperationException("late");
        });
        await _eventing.PublishAsync(new Happened(), EventDispatchBehavior.NonBlockingSequential);
        gate.SetResult();
        Assert.Equal("late", (await fault.Task.WaitAsync(TimeSpan.FromSeconds(10))).Message);
    }

    [Fact]
    public async Task A_fault_reaches_the_publisher_and_ends_the_sequence()
    {
        _eventing.Subscribe<Happened>((_, _) => throw new InvalidOperationException("now"));
        _eventing.Subscribe<Happened>(Call("after"));
        await Assert.ThrowsAsync<InvalidOperationException>(() => _eventing.PublishAsync(new Happened()));
        Assert.Empty(_called);
    }

    [Fact]
    public async Task A_handler_of_one_resource_hears_of_that_one_only_until_it_is_removed()
    {
        var (one, other) = (new Thing("one"), new Thing("other"));
        var subscription = _eventing.Subscribe<HappenedTo>(one, (published, _) => Call(published.Resource.Name)(null!, default));
        await _eventing.PublishAsync(new HappenedTo(one));
        await _eventing.PublishAsync(new HappenedTo(other));
        _eventing.Unsubscribe(subscription);
        await _eventing.PublishAsync(new HappenedTo(one));
        Assert.Equal(["one"], _called);
    }

    [Fact]
    public async Task A_handler_of_a_builder_gets_the_resource_with_its_type()
    {
        using var model = new TestModel();
        var thing = model.Builder.AddResource(new Thing("thing"));
        Thing? seen = null;
        thing.OnResourceReady((resource, _, _) =>
        {
            seen = resource;
            return Task.CompletedTask;
        });
        await model.SetReadyAsync(thing.Resource);
        Assert.Same(thing.Resource, seen);
    }

    private Func<Happened, CancellationToken, Task> Call(string name) => (_, _) =>
    {
        _called.Add(name);
        return Task.CompletedTask;
    };

    private sealed class Happened : IDistributedApplicationEvent;

    private sealed class HappenedTo(IResource resource) : IDistributedApplicationResourceEvent
    {
        public IResource Resource => resource;
    }
}
