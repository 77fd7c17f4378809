using Google.Protobuf;
using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>
/// Turns what the store keeps into OTLP messages again. What follows each other from the same resource and scope is sent together, and the order stays.
/// </summary>
internal static class OtlpWriter
{
    public static ExportTraceServiceRequest Traces(IEnumerable<TelemetrySpan> spans)
    {
        var request = new ExportTraceServiceRequest();
        var (from, group) = (new ResourceSpans(), new ScopeSpans());
        foreach (var (span, newResource, newScope) in Changes(spans, span => (span.Resource, span.Scope)))
        {
            if (newResource)
            {
                request.ResourceSpans.Add(from = new() { Resource = Resource(span.Resource) });
            }

            if (newScope)
            {
                from.ScopeSpans.Add(group = new() { Scope = Scope(span.Scope) });
            }

            group.Spans.Add(Span(span));
        }

        return request;
    }

    public static ExportLogsServiceRequest Logs(IEnumerable<TelemetryLog> logs)
    {
        var request = new ExportLogsServiceRequest();
        var (from, group) = (new ResourceLogs(), new ScopeLogs());
        foreach (var (log, newResource, newScope) in Changes(logs, log => (log.Resource, log.Scope)))
        {
            if (newResource)
            {
                request.ResourceLogs.Add(from = new() { Resource = Resource(log.Resource) });
            }

            if (newScope)
            {
                from.ScopeLogs.Add(group = new() { Scope = Scope(log.Scope) });
            }

            group.LogRecords.Add(Log(log));
        }

        return request;
    }

    public static ExportMetricsServiceRequest Metrics(IEnumerable<MetricSample> samples)
    {
        var request = new ExportMetricsServiceRequest();
        var (from, group, metric) = (new ResourceMetrics(), new ScopeMetrics(), new Metric());
        MetricInstrument? instrument = null;
        foreach (var (sample, newResource, newScope) in Changes(samples, sample => (sample.Instrument.Resource, sample.Instrument.Scope)))
        {
            if (newResource)
            {
                request.ResourceMetrics.Add(from = new() { Resource = Resource(sample.Instrument.Resource) });
            }

            if (newScope)
            {
                from.ScopeMetrics.Add(group = new() { Scope = Scope(sample.Instrument.Scope) });
            }

            var kind = MetricWriter.Kind(sample);
            if (newScope || instrument != sample.Instrument || metric.DataCase != kind)
            {
                instrument = sample.Instrument;
                group.Metrics.Add(metric = MetricWriter.Metric(instrument, kind));
            }

            MetricWriter.Add(metric, sample);
        }

        return request;
    }

    public static IEnumerable<KeyValue> Attributes(IReadOnlyList<TelemetryAttribute> attributes) =>
        attributes.Select(attribute => new KeyValue { Key = attribute.Key, Value = Value(attribute.Value) });

    private static IEnumerable<(T One, bool NewResource, bool NewScope)> Changes<T>(
        IEnumerable<T> all, Func<T, (TelemetryResource Resource, TelemetryScope Scope)> origin)
    {
        (TelemetryResource? Resource, TelemetryScope? Scope) before = default;
        foreach (var one in all)
        {
            var now = origin(one);
            var newResource = now.Resource != before.Resource;
            yield return (one, newResource, newResource || now.Scope != before.Scope);
            before = now;
        }
    }

    private static Resource Resource(TelemetryResource resource) => new() { Attributes = { Attributes(resource.Attributes) } };

    private static InstrumentationScope Scope(TelemetryScope scope) =>
        new() { Name = scope.Name, Version = scope.Version, Attributes = { Attributes(scope.Attributes) } };

    private static Span Span(TelemetrySpan span)
    {
        var message = new Span
        {
            TraceId = Bytes(span.TraceId),
            SpanId = Bytes(span.SpanId),
            ParentSpanId = Bytes(span.ParentId),
            Name = span.Name,
            Kind = (Span.Types.SpanKind)span.Kind,
            StartTimeUnixNano = (ulong)span.StartNano,
            EndTimeUnixNano = (ulong)span.EndNano,
            TraceState = span.TraceState,
            Flags = span.Flags,
            DroppedAttributesCount = (uint)span.DroppedAttributes,
            DroppedEventsCount = (uint)span.DroppedEvents,
            DroppedLinksCount = (uint)span.DroppedLinks,
            Status = span.Status == SpanStatus.Unset && span.StatusMessage.Length == 0
                ? null
                : new() { Code = (Status.Types.StatusCode)span.Status, Message = span.StatusMessage },
        };
        foreach (var attribute in span.AttributeArray)
        {
            message.Attributes.Add(new KeyValue { Key = attribute.Key, Value = Value(attribute.Value) });
        }

        foreach (var one in span.Events)
        {
            message.Events.Add(new Span.Types.Event
            {
                TimeUnixNano = Nano(one.Time),
                Name = one.Name,
                Attributes = { Attributes(one.Attributes) },
                DroppedAttributesCount = (uint)one.DroppedAttributes,
            });
        }

        foreach (var link in span.Links)
        {
            message.Links.Add(new Span.Types.Link
            {
                TraceId = Bytes(link.TraceId),
                SpanId = Bytes(link.SpanId),
                TraceState = link.TraceState,
                Flags = link.Flags,
                Attributes = { Attributes(link.Attributes) },
                DroppedAttributesCount = (uint)link.DroppedAttributes,
            });
        }

        return message;
    }

    private static LogRecord Log(TelemetryLog log) => new()
    {
        TimeUnixNano = (ulong)log.TimeNano,
        ObservedTimeUnixNano = (ulong)log.ObservedNano,
        SeverityNumber = (SeverityNumber)log.Severity,
        SeverityText = log.SeverityText,
        Body = Value(log.Body),
        EventName = log.EventName,
        TraceId = Bytes(log.TraceId),
        SpanId = Bytes(log.SpanId),
        Flags = log.Flags,
        DroppedAttributesCount = (uint)log.DroppedAttributes,
        Attributes = { Attributes(log.Attributes) },
    };

    private static AnyValue? Value(object? value) => value switch
    {
        null => null,
        string text => new() { StringValue = text },
        long number => new() { IntValue = number },
        double number => new() { DoubleValue = number },
        bool flag => new() { BoolValue = flag },
        byte[] bytes => new() { BytesValue = ByteString.CopyFrom(bytes) },
        TelemetryAttribute[] map => new() { KvlistValue = new() { Values = { Attributes(map) } } },
        object?[] values => new() { ArrayValue = new() { Values = { values.Select(one => Value(one) ?? new()) } } },
        _ => throw new ArgumentException($"An attribute cannot be a {value.GetType()}."),
    };

    public static ulong Nano(DateTimeOffset time) => (ulong)UnixTime.Nano(time);

    public static ByteString Bytes(TraceId id) => id.IsEmpty ? ByteString.Empty : ByteString.CopyFrom(id.ToBytes());

    public static ByteString Bytes(SpanId id) => id.IsEmpty ? ByteString.Empty : ByteString.CopyFrom(id.ToBytes());
}
