using System.Collections.Concurrent;
using Google.Protobuf.Collections;
using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>Turns OTLP messages into what the store keeps: compact, within the limits, without secrets.</summary>
internal sealed class OtlpReader(TelemetryLimits limits)
{
    private const int MostScopes = 1_000;

    private readonly StringPool _pool = new();
    private readonly ConcurrentDictionary<(string Name, string Version, string Attributes), TelemetryScope> _scopes = new();

    public string Text(string text)
    {
        if (text.Length > limits.MaxAttributeLength)
        {
            // Half a character could not be written again.
            text = text[..(limits.MaxAttributeLength - (char.IsHighSurrogate(text[limits.MaxAttributeLength - 1]) ? 1 : 0))];
        }

        return _pool.Text(SecretMask.Clean(text));
    }

    public TelemetryAttribute[] Attributes(RepeatedField<KeyValue> fields, out int dropped)
    {
        var kept = Math.Min(fields.Count, limits.MaxAttributeCount);
        dropped = fields.Count - kept;
        if (kept == 0)
        {
            return [];
        }

        var attributes = new TelemetryAttribute[kept];
        for (var i = 0; i < kept; i++)
        {
            var key = _pool.Text(fields[i].Key);
            attributes[i] = new(key, SecretMask.IsSecret(key) ? SecretMask.Masked : Value(fields[i].Value));
        }

        return attributes;
    }

    public TelemetryAttribute[] Attributes(RepeatedField<KeyValue> fields) => Attributes(fields, out _);

    public object? Value(AnyValue? value) => value?.ValueCase switch
    {
        AnyValue.ValueOneofCase.StringValue => Text(value.StringValue),
        AnyValue.ValueOneofCase.IntValue => _pool.Number(value.IntValue),
        AnyValue.ValueOneofCase.DoubleValue => value.DoubleValue,
        AnyValue.ValueOneofCase.BoolValue => value.BoolValue,
        AnyValue.ValueOneofCase.BytesValue => value.BytesValue.Span[..Math.Min(value.BytesValue.Length, limits.MaxAttributeLength)].ToArray(),
        AnyValue.ValueOneofCase.ArrayValue => value.ArrayValue.Values.Take(limits.MaxAttributeCount).Select(Value).ToArray(),
        AnyValue.ValueOneofCase.KvlistValue => Attributes(value.KvlistValue.Values),
        _ => null,
    };

    /// <summary>One instance for all that is the same.</summary>
    public TelemetryScope Scope(InstrumentationScope? scope)
    {
        var attributes = Attributes(scope?.Attributes ?? []);
        var key = (scope?.Name ?? "", scope?.Version ?? "", attributes.Length == 0 ? "" : string.Join('\u001f', attributes));
        if (_scopes.TryGetValue(key, out var known))
        {
            return known;
        }

        var made = new TelemetryScope(Text(key.Item1), Text(key.Item2)) { Attributes = attributes };
        return _scopes.Count < MostScopes ? _scopes.GetOrAdd(key, made) : made;
    }

    /// <summary>Null if its ids are bad.</summary>
    public TelemetrySpan? Span(TelemetryResource resource, TelemetryScope scope, Span span)
    {
        var (traceId, spanId) = (TraceId.From(span.TraceId.Span), SpanId.From(span.SpanId.Span));
        if (traceId.IsEmpty || spanId.IsEmpty || span.ParentSpanId.Length is not (0 or 8))
        {
            return null;
        }

        var attributes = Attributes(span.Attributes, out var dropped);
        var kind = (int)span.Kind is >= 0 and <= 5 ? (SpanKind)span.Kind : SpanKind.Unspecified;
        var (start, end) = (UnixTime.Nano(span.StartTimeUnixNano), UnixTime.Nano(span.EndTimeUnixNano));
        return new TelemetrySpan(resource, scope, attributes, Extras(span, dropped))
        {
            TraceId = traceId,
            SpanId = spanId,
            ParentId = SpanId.From(span.ParentSpanId.Span),
            Name = Text(span.Name),
            Kind = kind,
            Status = span.Status?.Code switch
            {
                Status.Types.StatusCode.Ok => SpanStatus.Ok,
                Status.Types.StatusCode.Error => SpanStatus.Error,
                _ => SpanStatus.Unset,
            },
            StartNano = start,
            EndNano = Math.Max(start, end),
            IsHealthCheck = kind is SpanKind.Server or SpanKind.Client && SpanFields.IsHealthCheck(attributes),
            Flags = span.Flags,
            Peer = kind is SpanKind.Client or SpanKind.Producer ? SpanFields.Peer(attributes) is { } peer ? _pool.Text(peer) : null : null,
        };
    }

    /// <summary>Null if its ids are bad.</summary>
    public TelemetryLog? Log(TelemetryResource resource, TelemetryScope scope, LogRecord record)
    {
        if (record.TraceId.Length is not (0 or 16) || record.SpanId.Length is not (0 or 8))
        {
            return null;
        }

        return new TelemetryLog(resource, scope, Attributes(record.Attributes, out var dropped))
        {
            Severity = Math.Clamp((int)record.SeverityNumber, 0, 24),
            SeverityText = Text(record.SeverityText),
            Body = Value(record.Body),
            EventName = Text(record.EventName),
            TraceId = TraceId.From(record.TraceId.Span),
            SpanId = SpanId.From(record.SpanId.Span),
            TimeNano = UnixTime.Nano(record.TimeUnixNano != 0 ? record.TimeUnixNano : record.ObservedTimeUnixNano),
            ObservedNano = UnixTime.Nano(record.ObservedTimeUnixNano),
            Flags = record.Flags,
            DroppedAttributes = Sum(dropped, record.DroppedAttributesCount),
        };
    }

    private SpanExtras Extras(Span span, int dropped)
    {
        if (span.Events.Count == 0 && span.Links.Count == 0 && dropped == 0 && span.DroppedAttributesCount == 0 && span.DroppedEventsCount == 0 &&
            span.DroppedLinksCount == 0 &&
            span.TraceState.Length == 0 && string.IsNullOrEmpty(span.Status?.Message))
        {
            return SpanExtras.None;
        }

        var kept = Math.Min(span.Events.Count, limits.MaxSpanEventCount);
        var links = Math.Min(span.Links.Count, limits.MaxSpanEventCount);
        return new SpanExtras(
            Text(span.Status?.Message ?? ""),
            Text(span.TraceState),
            [.. span.Events.Take(kept).Select(one => new SpanEvent(
                UnixTime.From(UnixTime.Nano(one.TimeUnixNano)), Text(one.Name), Attributes(one.Attributes, out var fewer), Sum(fewer, one.DroppedAttributesCount)))],
            [.. span.Links.Take(links).Select(link => new SpanLink(
                TraceId.From(link.TraceId.Span), SpanId.From(link.SpanId.Span), Text(link.TraceState), Attributes(link.Attributes, out var fewer), link.Flags,
                Sum(fewer, link.DroppedAttributesCount)))],
            Sum(dropped, span.DroppedAttributesCount),
            Sum(span.Events.Count - kept, span.DroppedEventsCount),
            Sum(span.Links.Count - links, span.DroppedLinksCount));
    }

    private static int Sum(int here, uint before) => here + (int)Math.Min(before, int.MaxValue / 2);
}
