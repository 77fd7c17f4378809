using System.Diagnostics;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests.ServiceDefaults;

public sealed class TraceContextTests : IDisposable
{
    private readonly ActivitySource _source = new($"mobile.test.{Guid.NewGuid():n}");
    private readonly ActivityListener _listener;

    public TraceContextTests()
    {
        _listener = new()
        {
            ShouldListenTo = source => source == _source,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(_listener);
    }

    public void Dispose()
    {
        _listener.Dispose();
        _source.Dispose();
    }

    [Fact]
    public void Work_taken_from_a_queue_stands_in_the_trace_that_queued_it()
    {
        TraceContext row;
        ActivityContext request;
        using (var activity = _source.StartActivity("request")!)
        {
            activity.TraceStateString = "vendor=1";
            request = activity.Context;
            row = TraceContext.Current;
        }

        using var loop = _source.StartActivity("loop");
        using var work = row.StartConsumer(_source, "process push")!;

        Assert.Equal(request.TraceId, work.TraceId);
        Assert.Equal(request.SpanId, work.ParentSpanId);
        Assert.Equal("vendor=1", work.TraceStateString);
        Assert.Equal(ActivityKind.Consumer, work.Kind);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("not a traceparent")]
    public void Without_a_usable_context_a_new_trace_begins(string? traceparent)
    {
        using var loop = _source.StartActivity("loop")!;
        using var work = new TraceContext(traceparent, null).StartConsumer(_source, "process push")!;
        Assert.NotEqual(loop.TraceId, work.TraceId);
        Assert.Equal(default, work.ParentSpanId);
    }
}
