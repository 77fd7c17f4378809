using Microsoft.Extensions.Time.Testing;
using MobileIntegration.LocalHost.Telemetry;
using MobileIntegration.LocalHost.Telemetry.Otlp;
using static MobileIntegration.Tests.Telemetry.Sent;
using Kind = MobileIntegration.LocalHost.Telemetry.Otlp.Span.Types.SpanKind;

namespace MobileIntegration.Tests.Telemetry;

public class StoreTests
{
    private readonly FakeTimeProvider _time = new(Noon);

    [Fact]
    public void The_oldest_goes_when_a_limit_is_reached_and_is_counted()
    {
        var store = New(limits => (limits.MaxTraceCount, limits.MaxLogCount, limits.MaxMetricsCount) = (3, 2, 4));
        for (var i = 1; i <= 5; i++)
        {
            store.Spans("shop", Span(i, 1), Span(i, 2, 1));
            store.Logs("shop", new LogRecord { Body = new() { StringValue = $"line {i}" } });
            store.Metrics("shop", Gauge(Noon.AddSeconds(i), i), Gauge(Noon.AddSeconds(i), -i, "other"));
        }

        var counts = store.Counts;
        Assert.Equal((3, 6, 2, 4), (counts.Traces, counts.Spans, counts.Logs, counts.MetricPoints));
        Assert.Equal((2, 4, 3, 6), (counts.EvictedTraces, counts.EvictedSpans, counts.EvictedLogs, counts.EvictedPoints));
        Assert.Null(store.Trace(Trace(2)));
        Assert.Equal(["line 5", "line 4"], store.Logs(new()).Items.Select(log => log.Message));
    }

    [Fact]
    public void Long_traces_cannot_fill_the_memory()
    {
        var store = New(limits => (limits.MaxSpanCount, limits.MaxSpansPerTrace) = (50, 30));
        for (var trace = 1; trace <= 3; trace++)
        {
            store.Spans("shop", [.. Enumerable.Range(1, 40).Select(id => Span(trace, id))]);
        }

        Assert.Equal((1, 30, 30L), (store.Counts.Traces, store.Counts.Spans, store.Counts.DroppedSpans));
    }

    [Fact]
    public void A_span_that_comes_again_is_one_span()
    {
        var store = New();
        Span[] spans = [.. Enumerable.Range(1, 40).Select(id => Span(1, id))];
        store.Spans("shop", spans);
        store.Spans("shop", spans);
        Assert.Equal(40, store.Counts.Spans);
    }

    [Fact]
    public void Traces_are_found_by_what_is_in_their_spans()
    {
        var store = New();
        store.Spans("gateway", Span(1, 1, kind: Kind.Server, milliseconds: 200, name: "GET /api/home", attributes: Number("http.response.status_code", 200)));
        store.Spans("home", Span(1, 2, 1, Kind.Server, 50, error: true, attributes: Text("customer.id", "C-000123")));
        store.Spans("gateway", Span(2, 1, kind: Kind.Server, start: Noon.AddSeconds(1), name: "GET /api/orders", attributes: Number("http.response.status_code", 404)));
        store.Spans("gateway", Span(3, 1, kind: Kind.Server, name: "GET /health", attributes: Text("url.path", "/health")));

        Assert.Equal([2, 1], Found(store, new()));
        Assert.Equal(3, store.Traces(new() { IncludeHealthChecks = true }).Total);
        Assert.Equal([1], Found(store, new() { ErrorsOnly = true }));
        Assert.Equal([1], Found(store, new() { Resource = "home" }));
        Assert.Equal([1], Found(store, new() { MinDuration = TimeSpan.FromMilliseconds(100) }));
        Assert.Equal([1], Found(store, new() { Text = "c-0001" }));
        Assert.Equal([2], Found(store, new() { Text = "API/orders" }));
        Assert.Equal([2], Found(store, new() { Filters = [new("http.response.status_code", FieldOperator.AtLeast, "400")] }));
        Assert.Equal([2, 1], Found(store, new() { Filters = [new("http.response.status_code", FieldOperator.LessThan, "1000")] }));
        Assert.Equal([1], Found(store, new() { Filters = [new("resource", FieldOperator.Equal, "home"), new("status", FieldOperator.Equal, "error")] }));
        Assert.Empty(Found(store, new() { Filters = [new("resource", FieldOperator.Equal, "gateway"), new("customer.id", FieldOperator.Contains, "C-")] }));
        var page = store.Traces(new() { Skip = 1, Take = 1 });
        Assert.Equal((2, "GET /api/home", 2), (page.Total, page.Items.Single().RootName, page.Items.Single().SpanCount));
    }

    [Fact]
    public void A_query_that_is_asked_again_sees_what_has_come_and_gone_meanwhile()
    {
        var store = New(limits => limits.MaxTraceCount = 3);
        TraceQuery Query() => new() { Filters = [new("status", FieldOperator.Equal, "error")] };
        store.Spans("shop", Span(1, 1, error: true), Span(2, 1), Span(3, 1, error: true));
        Assert.Equal([1, 3], Found(store, Query()).Order());
        store.Spans("shop", Span(2, 2, 1, error: true));
        Assert.Equal([1, 2, 3], Found(store, Query()).Order());
        store.Spans("shop", Span(4, 1));
        Assert.Equal([2, 3], Found(store, Query()).Order());
        store.Spans("shop", Span(1, 1), Span(5, 1, error: true), Span(6, 1));
        Assert.Equal([5], Found(store, Query()).Order());
        Assert.Equal([1, 5, 6], Found(store, new()).Order());

        // More queries than are remembered.
        for (var i = 1; i <= 20; i++)
        {
            Assert.Equal(i is 1 or 5 or 6 ? 1 : 0, store.Traces(new() { Text = Trace(i).ToString() }).Total);
        }

        Assert.Equal([5], Found(store, Query()));
    }

    [Fact]
    public void Secrets_are_not_kept()
    {
        var store = New();
        store.Spans("shop", Span(
            1, 1, attributes: [
                Text("http.request.header.authorization", "Bearer abcdefghijkl"), Text("db.connection_string", "Host=db;Username=app;Password=hunter2;Port=1"),
                Text("url.full", "http://app:hunter2@host/path"), Text("note", "sent Authorization: Bearer abcdefghijkl on")]));
        Assert.Equal(
            ["***", "Host=db;Username=app;Password=***;Port=1", "http://app:***@host/path", "sent Authorization: Bearer *** on"],
            store.Trace(Trace(1))!.Spans[0].Attributes.Select(attribute => attribute.Text));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_call_is_a_flow_whichever_side_arrives_first(bool callerFirst)
    {
        var store = New(resolve: (host, port) => (host, port) == ("localhost", 5001) ? "crm" : null);
        for (var i = 1; i <= 60; i++)
        {
            var call = Span(i, 2, 1, Kind.Client, 100, error: i <= 6, attributes: Text("server.address", "localhost"));
            var request = Span(i, 3, 2, Kind.Server, 90);
            store.Spans(callerFirst ? "gateway" : "home", callerFirst ? call : request);
            store.Spans(callerFirst ? "home" : "gateway", callerFirst ? request : call);
            store.Spans("gateway", Span(i, 1, kind: Kind.Server, milliseconds: 110));
            store.Spans("home", Span(i, 4, 3, Kind.Client, 5, attributes: [Text("db.system.name", "postgresql"), Text("server.address", "127.0.0.1")]));
            store.Spans("home", Span(i, 5, 3, Kind.Client, 5, attributes: [Text("server.address", "localhost"), Number("server.port", 5001)]));
        }

        _time.Advance(TimeSpan.FromSeconds(10));
        var flows = store.Flows(TimeSpan.FromMinutes(1));
        Assert.Equal(
            [("", "gateway", true), ("gateway", "home", true), ("home", "crm", true), ("home", "postgresql", false)],
            flows.Select(flow => (flow.From, flow.To, flow.ToKnown)));
        var called = flows[1];
        Assert.Equal((60, 1.0, 0.1), (called.Count, called.RequestsPerSecond, called.ErrorRate));
        Assert.InRange(called.P95.TotalMilliseconds, 90, 110);

        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Empty(store.Flows(TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public void A_span_from_a_clock_far_ahead_does_not_hide_the_flows_of_now()
    {
        var store = New();
        store.Spans("gateway", Span(1, 1, kind: Kind.Server, start: Noon.AddSeconds(64 * 1000)));
        store.Spans("gateway", Span(2, 1, kind: Kind.Server));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, Assert.Single(store.Flows(TimeSpan.FromMinutes(1))).Count);
    }

    [Fact]
    public void Logs_are_found_by_level_trace_and_fields()
    {
        var store = New();
        store.Logs("shop", new LogRecord { SeverityNumber = SeverityNumber.Info, Body = new() { StringValue = "ready" } });
        store.Logs("shop", new LogRecord
        {
            SeverityNumber = SeverityNumber.Error,
            Body = new() { StringValue = "Order failed" },
            TraceId = Google.Protobuf.ByteString.CopyFrom(Trace(7).ToBytes()),
            Attributes = { Number("Order", 17) },
        });

        Assert.Equal("Order failed", store.Logs(new() { MinSeverity = 13 }).Items.Single().Message);
        Assert.Equal("Order failed", store.Logs(new() { TraceId = Trace(7) }).Items.Single().Message);
        Assert.Equal("Order failed", store.Logs(new() { Filters = [new("Order", FieldOperator.GreaterThan, "9")] }).Items.Single().Message);
        Assert.Equal("ready", store.Logs(new() { Text = "READ" }).Items.Single().Message);
        Assert.Equal(2, store.Logs(new() { Text = "shop.orders", Resource = "shop" }).Total);
        Assert.Equal(0, store.Logs(new() { Resource = "home" }).Total);
    }

    [Fact]
    public async Task A_change_is_told_to_whoever_waits_and_to_its_signal_alone()
    {
        var store = New();
        var seen = store.Changes.Version(TelemetrySignals.Traces);
        var waiting = store.Changes.WaitAsync(TelemetrySignals.Traces, seen, CancellationToken.None);
        store.Logs("shop", new LogRecord { Body = new() { StringValue = "line" } });
        Assert.Equal(seen, store.Changes.Version(TelemetrySignals.Traces));
        Assert.False(waiting.IsCompleted);
        store.Spans("shop", Span(1, 1));
        Assert.NotEqual(seen, await waiting.WaitAsync(TelemetryHost.Patience));
    }

    private static Metric Gauge(DateTimeOffset time, double value, string name = "level") => new()
    {
        Name = name,
        Gauge = new() { DataPoints = { new NumberDataPoint { TimeUnixNano = Nano(time), AsDouble = value } } },
    };

    private static int[] Found(TelemetryStore store, TraceQuery query) => [.. store.Traces(query).Items.Select(trace => (int)trace.TraceId.Low)];

    private TelemetryStore New(Action<TelemetryLimits>? change = null, Func<string, int, string?>? resolve = null)
    {
        var limits = new TelemetryLimits();
        change?.Invoke(limits);
        return new(limits, _time, resolve);
    }
}
