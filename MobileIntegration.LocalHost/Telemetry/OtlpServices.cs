using Grpc.Core;
using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>What is answered to a message that was taken, in part or as a whole.</summary>
internal static class OtlpAnswers
{
    private const string Spans = "Spans need a trace id of 16 bytes and a span id of 8, and there is a limit to the resources.";
    private const string Logs = "Trace ids have 16 bytes and span ids 8, and there is a limit to the resources.";
    private const string Points = "Summaries and metrics without a name are not kept, and there is a limit to the resources.";

    public static ExportTraceServiceResponse Take(TelemetryStore store, ExportTraceServiceRequest request)
    {
        var rejected = store.Add(request.ResourceSpans);
        return rejected == 0 ? new() : new() { PartialSuccess = new() { RejectedSpans = rejected, ErrorMessage = Spans } };
    }

    public static ExportLogsServiceResponse Take(TelemetryStore store, ExportLogsServiceRequest request)
    {
        var rejected = store.Add(request.ResourceLogs);
        return rejected == 0 ? new() : new() { PartialSuccess = new() { RejectedLogRecords = rejected, ErrorMessage = Logs } };
    }

    public static ExportMetricsServiceResponse Take(TelemetryStore store, ExportMetricsServiceRequest request)
    {
        var rejected = store.Add(request.ResourceMetrics);
        return rejected == 0 ? new() : new() { PartialSuccess = new() { RejectedDataPoints = rejected, ErrorMessage = Points } };
    }
}

internal sealed class OtlpTraceService(TelemetryStore store) : TraceService.TraceServiceBase
{
    public override Task<ExportTraceServiceResponse> Export(ExportTraceServiceRequest request, ServerCallContext context) =>
        Task.FromResult(OtlpAnswers.Take(store, request));
}

internal sealed class OtlpLogsService(TelemetryStore store) : LogsService.LogsServiceBase
{
    public override Task<ExportLogsServiceResponse> Export(ExportLogsServiceRequest request, ServerCallContext context) =>
        Task.FromResult(OtlpAnswers.Take(store, request));
}

internal sealed class OtlpMetricsService(TelemetryStore store) : MetricsService.MetricsServiceBase
{
    public override Task<ExportMetricsServiceResponse> Export(ExportMetricsServiceRequest request, ServerCallContext context) =>
        Task.FromResult(OtlpAnswers.Take(store, request));
}
