using System.ComponentModel.DataAnnotations;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>How much telemetry a store keeps in memory; the oldest goes first. Section <c>Dashboard:TelemetryLimits</c>.</summary>
public sealed class TelemetryLimits
{
    public const string Section = "Dashboard:TelemetryLimits";

    /// <summary>Log records of all resources.</summary>
    [Range(1, 10_000_000)]
    public int MaxLogCount { get; set; } = 10_000;

    /// <summary>Traces of all resources.</summary>
    [Range(1, 10_000_000)]
    public int MaxTraceCount { get; set; } = 10_000;

    /// <summary>Spans of all traces: what bounds the memory when traces are long.</summary>
    [Range(1, 100_000_000)]
    public int MaxSpanCount { get; set; } = 200_000;

    /// <summary>Spans of one trace; later ones are dropped and counted.</summary>
    [Range(1, 1_000_000)]
    public int MaxSpansPerTrace { get; set; } = 10_000;

    /// <summary>Metric points of one resource. Points that repeat the one before are one point; those older than a minute are thinned.</summary>
    [Range(1, 10_000_000)]
    public int MaxMetricsCount { get; set; } = 50_000;

    /// <summary>Attributes of one span, log record or metric point.</summary>
    [Range(0, 10_000)]
    public int MaxAttributeCount { get; set; } = 128;

    /// <summary>Characters of one text: attribute, log message or name.</summary>
    [Range(16, int.MaxValue)]
    public int MaxAttributeLength { get; set; } = 32_768;

    /// <summary>Events of one span.</summary>
    [Range(0, int.MaxValue)]
    public int MaxSpanEventCount { get; set; } = 1_000;

    /// <summary>Resources (service and instance); telemetry of further ones is rejected.</summary>
    [Range(1, 1_000_000)]
    public int MaxResourceCount { get; set; } = 10_000;
}
