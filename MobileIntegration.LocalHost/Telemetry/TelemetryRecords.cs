using System.Globalization;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>Something that sends telemetry: a service's instance.</summary>
public sealed class TelemetryResource(string name, string instanceId, TelemetryAttribute[] attributes)
{
    /// <summary><c>service.name</c></summary>
    public string Name { get; } = name;

    /// <summary><c>service.instance.id</c>; empty if it names none.</summary>
    public string InstanceId { get; } = instanceId;

    public IReadOnlyList<TelemetryAttribute> Attributes => AttributeArray;

    internal TelemetryAttribute[] AttributeArray { get; } = attributes;

    public override string ToString() => InstanceId.Length == 0 ? Name : $"{Name} ({InstanceId})";
}

/// <summary>What made the telemetry: an activity source, a logger category or a meter.</summary>
public sealed record TelemetryScope(string Name, string Version)
{
    public IReadOnlyList<TelemetryAttribute> Attributes { get; init; } = [];
}

/// <param name="Value">A string, long, double, bool, byte[], object?[] (an array) or TelemetryAttribute[] (a map); null if there is none.</param>
public readonly record struct TelemetryAttribute(string Key, object? Value)
{
    /// <summary>The value as people read it.</summary>
    public string Text => Format(Value);

    public static string Format(object? value) => value switch
    {
        null => "",
        string text => text,
        bool flag => flag ? "true" : "false",
        byte[] bytes => Convert.ToBase64String(bytes),
        object?[] values => $"[{string.Join(", ", values.Select(Format))}]",
        TelemetryAttribute[] map => $"{{{string.Join(", ", map.Select(item => $"{item.Key}: {item.Text}"))}}}",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    public override string ToString() => $"{Key}={Text}";
}

/// <summary>Values as OTLP numbers them.</summary>
public enum SpanKind : byte { Unspecified, Internal, Server, Client, Producer, Consumer }

/// <inheritdoc cref="SpanKind"/>
public enum SpanStatus : byte { Unset, Ok, Error }

public sealed record SpanEvent(DateTimeOffset Time, string Name, IReadOnlyList<TelemetryAttribute> Attributes, int DroppedAttributes = 0);

public sealed record SpanLink(
    TraceId TraceId, SpanId SpanId, string TraceState, IReadOnlyList<TelemetryAttribute> Attributes, uint Flags = 0, int DroppedAttributes = 0);

/// <summary>What few spans have, so that the others do without.</summary>
internal sealed record SpanExtras(
    string StatusMessage, string TraceState, IReadOnlyList<SpanEvent> Events, IReadOnlyList<SpanLink> Links, int DroppedAttributes, int DroppedEvents,
    int DroppedLinks)
{
    public static readonly SpanExtras None = new("", "", [], [], 0, 0, 0);
}

/// <summary>One finished span. It does not change.</summary>
public sealed class TelemetrySpan
{
    internal TelemetrySpan(TelemetryResource resource, TelemetryScope scope, TelemetryAttribute[] attributes, SpanExtras extras) =>
        (Resource, Scope, AttributeArray, Extras) = (resource, scope, attributes, extras);

    public TraceId TraceId { get; internal init; }

    public SpanId SpanId { get; internal init; }

    /// <summary>Empty at a trace's root.</summary>
    public SpanId ParentId { get; internal init; }

    public string Name { get; internal init; } = "";

    public SpanKind Kind { get; internal init; }

    public SpanStatus Status { get; internal init; }

    public TelemetryResource Resource { get; }

    public TelemetryScope Scope { get; }

    public DateTimeOffset Start => UnixTime.From(StartNano);

    public TimeSpan Duration => UnixTime.Span(EndNano - StartNano);

    public IReadOnlyList<TelemetryAttribute> Attributes => AttributeArray;

    public string StatusMessage => Extras.StatusMessage;

    public string TraceState => Extras.TraceState;

    public IReadOnlyList<SpanEvent> Events => Extras.Events;

    public IReadOnlyList<SpanLink> Links => Extras.Links;

    public int DroppedAttributes => Extras.DroppedAttributes;

    public int DroppedEvents => Extras.DroppedEvents;

    public int DroppedLinks => Extras.DroppedLinks;

    /// <summary>W3C trace flags and OTLP's own bits, as they came.</summary>
    public uint Flags { get; internal init; }

    public bool IsError => Status == SpanStatus.Error;

    /// <summary>A request to <c>/health</c> or <c>/alive</c>.</summary>
    public bool IsHealthCheck { get; internal init; }

    /// <summary>Who was called, if this is a call out (database system, address, queue), whether or not that sends telemetry itself.</summary>
    public string? Peer { get; internal init; }

    internal long StartNano { get; init; }

    internal long EndNano { get; init; }

    internal TelemetryAttribute[] AttributeArray { get; }

    internal SpanExtras Extras { get; }

    public object? this[string key]
    {
        get
        {
            foreach (var attribute in AttributeArray)
            {
                if (attribute.Key == key)
                {
                    return attribute.Value;
                }
            }

            return null;
        }
    }
}

/// <summary>One log record. It does not change.</summary>
public sealed class TelemetryLog
{
    internal TelemetryLog(TelemetryResource resource, TelemetryScope scope, TelemetryAttribute[] attributes) =>
        (Resource, Scope, AttributeArray) = (resource, scope, attributes);

    /// <summary>Rises by one a record in its store.</summary>
    public long Id { get; internal set; }

    /// <summary>When it happened; when it was seen, if that is not known.</summary>
    public DateTimeOffset Time => UnixTime.From(TimeNano);

    /// <summary>1 to 24: 1 trace, 5 debug, 9 information, 13 warning, 17 error, 21 critical; 0 if unknown.</summary>
    public int Severity { get; internal init; }

    public string SeverityText { get; internal init; } = "";

    public string Message => TelemetryAttribute.Format(Body);

    public string EventName { get; internal init; } = "";

    /// <summary>Empty if it belongs to no trace.</summary>
    public TraceId TraceId { get; internal init; }

    public SpanId SpanId { get; internal init; }

    public TelemetryResource Resource { get; }

    /// <summary>The logger's category.</summary>
    public TelemetryScope Scope { get; }

    public IReadOnlyList<TelemetryAttribute> Attributes => AttributeArray;

    public int DroppedAttributes { get; internal init; }

    /// <summary>W3C trace flags, as they came.</summary>
    public uint Flags { get; internal init; }

    /// <summary>The exception with its stack trace, if one was logged.</summary>
    public string? Exception => (this["exception.stacktrace"] ?? this["exception.message"])?.ToString();

    internal object? Body { get; init; }

    internal long TimeNano { get; init; }

    /// <summary>0 if it did not say.</summary>
    internal long ObservedNano { get; init; }

    internal TelemetryAttribute[] AttributeArray { get; }

    public object? this[string key] => Array.Find(AttributeArray, attribute => attribute.Key == key).Value;
}

internal static class UnixTime
{
    /// <summary>The last nanosecond that a DateTimeOffset can say, well within a long.</summary>
    public const long Max = 9_000_000_000_000_000_000;

    public static DateTimeOffset From(long nano) => DateTimeOffset.UnixEpoch.AddTicks(nano / 100);

    public static TimeSpan Span(long nano) => TimeSpan.FromTicks(nano / 100);

    public static long Nano(DateTimeOffset time) => (time - DateTimeOffset.UnixEpoch).Ticks * 100;

    /// <summary>A time as OTLP sends it; nonsense becomes the latest time there is.</summary>
    public static long Nano(ulong time) => (long)Math.Min(time, Max);
}
