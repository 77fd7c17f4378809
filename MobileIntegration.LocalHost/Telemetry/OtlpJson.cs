using Google.Protobuf;
using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>
/// OTLP's JSON is protobuf's own, but for enums, which are numbers, and for ids, which are hex where protobuf has base64. As hex digits are base64
/// digits too, an id is read as base64 and written again as such, which gives the hex digits.
/// </summary>
internal static class OtlpJson
{
    private static readonly JsonParser Parser = new(JsonParser.Settings.Default.WithIgnoreUnknownFields(true));
    private static readonly JsonFormatter Formatter = new(JsonFormatter.Settings.Default.WithFormatEnumsAsIntegers(true));

    /// <exception cref="InvalidProtocolBufferException">It is not such a message.</exception>
    /// <exception cref="InvalidJsonException">It is not JSON.</exception>
    public static T Parse<T>(string json)
        where T : IMessage<T>, new()
    {
        var message = Parser.Parse<T>(json);
        Ids(message, FromHex);
        return message;
    }

    /// <summary>Writes a message; its ids are changed by that, so it is of no further use.</summary>
    public static string Format(IMessage message)
    {
        Ids(message, ToHex);
        return Formatter.Format(message);
    }

    /// <summary>Writes each resource of a request; its ids are changed by that, so it is of no further use.</summary>
    public static IEnumerable<string> FormatResources(IMessage request)
    {
        Ids(request, ToHex);
        return request switch
        {
            ExportTraceServiceRequest traces => traces.ResourceSpans.Select(one => Formatter.Format(one)),
            ExportLogsServiceRequest logs => logs.ResourceLogs.Select(one => Formatter.Format(one)),
            ExportMetricsServiceRequest metrics => metrics.ResourceMetrics.Select(one => Formatter.Format(one)),
            _ => [],
        };
    }

    private static ByteString FromHex(ByteString id)
    {
        try
        {
            return ByteString.CopyFrom(Convert.FromHexString(id.ToBase64()));
        }
        catch (FormatException)
        {
            // Of a length that no id has, so that what it belongs to is rejected.
            return ByteString.CopyFrom(0);
        }
    }

    private static ByteString ToHex(ByteString id) => ByteString.FromBase64(Convert.ToHexStringLower(id.Span));

    private static void Ids(IMessage message, Func<ByteString, ByteString> convert)
    {
        switch (message)
        {
            case ExportTraceServiceRequest traces:
                foreach (var span in traces.ResourceSpans.SelectMany(resource => resource.ScopeSpans).SelectMany(scope => scope.Spans))
                {
                    (span.TraceId, span.SpanId, span.ParentSpanId) = (convert(span.TraceId), convert(span.SpanId), convert(span.ParentSpanId));
                    foreach (var link in span.Links)
                    {
                        (link.TraceId, link.SpanId) = (convert(link.TraceId), convert(link.SpanId));
                    }
                }

                break;
            case ExportLogsServiceRequest logs:
                foreach (var record in logs.ResourceLogs.SelectMany(resource => resource.ScopeLogs).SelectMany(scope => scope.LogRecords))
                {
                    (record.TraceId, record.SpanId) = (convert(record.TraceId), convert(record.SpanId));
                }

                break;
            case ExportMetricsServiceRequest metrics:
                foreach (var exemplar in metrics.ResourceMetrics.SelectMany(resource => resource.ScopeMetrics).SelectMany(scope => scope.Metrics)
                    .SelectMany(Exemplars))
                {
                    (exemplar.TraceId, exemplar.SpanId) = (convert(exemplar.TraceId), convert(exemplar.SpanId));
                }

                break;
        }
    }

    private static IEnumerable<Exemplar> Exemplars(Metric metric) => metric.DataCase switch
    {
        Metric.DataOneofCase.Gauge => metric.Gauge.DataPoints.SelectMany(point => point.Exemplars),
        Metric.DataOneofCase.Sum => metric.Sum.DataPoints.SelectMany(point => point.Exemplars),
        Metric.DataOneofCase.Histogram => metric.Histogram.DataPoints.SelectMany(point => point.Exemplars),
        Metric.DataOneofCase.ExponentialHistogram => metric.ExponentialHistogram.DataPoints.SelectMany(point => point.Exemplars),
        _ => [],
    };
}
