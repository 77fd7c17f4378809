using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Google.Protobuf;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.Telemetry;
using MobileIntegration.LocalHost.Telemetry.Otlp;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using SpanKind = MobileIntegration.LocalHost.Telemetry.SpanKind;

namespace MobileIntegration.Tests.Telemetry;

/// <summary>Senders are OpenTelemetry's own exporter and plain HTTP.</summary>
public class OtlpTests
{
    private const string Span = """
        {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"GET /orders","kind":2,
         "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,"someday":{"new":[1]},
         "attributes":[{"key":"http.response.status_code","value":{"intValue":"500"}}],"status":{"code":2}}
        """;

    [Theory]
    [InlineData(OtlpExportProtocol.Grpc)]
    [InlineData(OtlpExportProtocol.HttpProtobuf)]
    public async Task What_the_OpenTelemetry_exporter_sends_arrives(OtlpExportProtocol protocol)
    {
        await using var host = await TelemetryHost.StartAsync();
        void Export(OtlpExporterOptions options, string path)
        {
            options.Protocol = protocol;
            options.Endpoint = new Uri(protocol == OtlpExportProtocol.Grpc ? host.Grpc : host.Http + path);
            options.Headers = $"x-otlp-api-key={Uri.EscapeDataString(TelemetryHost.Key)}";
        }

        var name = $"otlp-tests-{protocol}";
        using var source = new ActivitySource(name);
        using var meter = new Meter(name);
        var resource = ResourceBuilder.CreateEmpty().AddService("shop", serviceInstanceId: "one");
        using var traces = Sdk.CreateTracerProviderBuilder().SetResourceBuilder(resource).AddSource(name)
            .AddOtlpExporter(options => Export(options, "/v1/traces")).Build();
        using var metrics = Sdk.CreateMeterProviderBuilder().SetResourceBuilder(resource).AddMeter(name).SetExemplarFilter(ExemplarFilterType.TraceBased)
            .AddOtlpExporter(options => Export(options, "/v1/metrics")).Build();
        using var logs = LoggerFactory.Create(builder => builder.AddOpenTelemetry(logging => logging.SetResourceBuilder(resource)
            .AddOtlpExporter(options => Export(options, "/v1/logs"))));

        ActivityTraceId traceId;
        using (var activity = source.StartActivity("place order", ActivityKind.Server)!)
        {
            traceId = activity.TraceId;
            activity.SetTag("order.lines", 3).AddEvent(new("packed")).SetStatus(ActivityStatusCode.Error, "no stock");
            logs.CreateLogger("Shop.Orders").LogError(new InvalidOperationException("empty shelf"), "Order {Order} failed", 17);
            meter.CreateHistogram<double>("order.time").Record(0.2);
            meter.CreateCounter<int>("orders").Add(5);
        }

        Assert.True(traces.ForceFlush() && metrics.ForceFlush());
        logs.Dispose();

        Assert.True(TraceId.TryParse(traceId.ToHexString(), out var id));
        var trace = host.Store.Trace(id)!;
        var span = Assert.Single(trace.Spans);
        Assert.Equal(("place order", SpanKind.Server, SpanStatus.Error, "no stock", name), (span.Name, span.Kind, span.Status, span.StatusMessage, span.Scope.Name));
        Assert.Equal(3L, span["order.lines"]);
        Assert.Equal("packed", Assert.Single(span.Events).Name);
        Assert.Equal(("shop", "one"), (span.Resource.Name, span.Resource.InstanceId));
        var log = Assert.Single(trace.Logs);
        Assert.Equal((17, "Shop.Orders", span.SpanId), (log.Severity, log.Scope.Name, log.SpanId));
        Assert.Contains("empty shelf", log.Exception, StringComparison.Ordinal);
        Assert.Equal(["order.time", "orders"], host.Store.Instruments("shop").Select(instrument => instrument.Name));
        var chart = host.Store.Chart(new("shop", name, "order.time"))!;
        Assert.Equal(id, Assert.Single(chart.Exemplars).TraceId);
    }

    [Fact]
    public async Task Json_has_ids_in_hex_numbers_as_text_and_fields_of_the_future()
    {
        await using var host = await TelemetryHost.StartAsync();
        using var answer = await PostAsync(host, Traces(Span));
        Assert.Equal((HttpStatusCode.OK, "{ }"), (answer.StatusCode, await answer.Content.ReadAsStringAsync()));

        var trace = Assert.Single(host.Store.Traces(new()).Items);
        Assert.Equal(("5b8efff798038103d269b633813fc60c", TimeSpan.FromSeconds(1), 1), (trace.TraceId.ToString(), trace.Duration, trace.ErrorCount));
        Assert.Equal(500L, host.Store.Trace(trace.TraceId)!.Spans[0]["http.response.status_code"]);
    }

    [Theory]
    [InlineData("5b8efff798038103d269b633813fc60c5b8e")]
    [InlineData("00000000000000000000000000000000")]
    [InlineData("")]
    public async Task A_span_with_a_bad_id_is_rejected_and_the_others_are_kept(string id)
    {
        await using var host = await TelemetryHost.StartAsync();
        using var answer = await PostAsync(host, Traces(Span, Span.Replace("5b8efff798038103d269b633813fc60c", id, StringComparison.Ordinal)));
        var text = await answer.Content.ReadAsStringAsync();
        Assert.Contains("\"rejectedSpans\": \"1\"", text, StringComparison.Ordinal);
        Assert.Equal(1, host.Store.Counts.Spans);
        Assert.Equal(1, host.Store.Counts.Rejected);
    }

    [Fact]
    public async Task Requests_without_the_key_are_refused_over_both_protocols()
    {
        await using var host = await TelemetryHost.StartAsync();
        using var answer = await PostAsync(host, Traces(Span), key: "another");
        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);

        using var grpc = new HttpClient { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var content = new ByteArrayContent([0, 0, 0, 0, 3, .. "no!"u8]) { Headers = { ContentType = new("application/grpc") } };
        using var response = await grpc.PostAsync($"{host.Grpc}/opentelemetry.proto.collector.trace.v1.TraceService/Export", content);
        await response.Content.ReadAsByteArrayAsync();
        Assert.Equal("16", response.Headers.Concat(response.TrailingHeaders).Single(header => header.Key == "grpc-status").Value.Single());
        Assert.Equal(0, host.Store.Counts.Spans);
    }

    [Theory]
    [InlineData("text/plain", "{}", 415)]
    [InlineData("application/json", "{ no", 400)]
    [InlineData("application/x-protobuf", "no protobuf", 400)]
    public async Task What_is_not_OTLP_is_refused_with_a_status(string type, string body, int status)
    {
        await using var host = await TelemetryHost.StartAsync();
        using var answer = await PostAsync(host, body, type);
        Assert.Equal(status, (int)answer.StatusCode);
        var bytes = await answer.Content.ReadAsByteArrayAsync();
        var refusal = answer.Content.Headers.ContentType!.MediaType == "application/json"
            ? JsonParser.Default.Parse<RpcStatus>(Encoding.UTF8.GetString(bytes))
            : RpcStatus.Parser.ParseFrom(bytes);
        Assert.Equal(3, refusal.Code);
        Assert.NotEmpty(refusal.Message);
    }

    [Fact]
    public async Task Gzip_is_taken_and_counts_by_what_comes_out()
    {
        await using var host = await TelemetryHost.StartAsync();
        using var small = await PostAsync(host, Traces(Span), gzip: true);
        Assert.Equal(HttpStatusCode.OK, small.StatusCode);
        Assert.Equal(1, host.Store.Counts.Spans);

        using var bomb = await PostAsync(host, new string(' ', 5 * 1024 * 1024), gzip: true);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, bomb.StatusCode);
        using var large = await PostAsync(host, new string(' ', 4 * 1024 * 1024 + 1));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, large.StatusCode);
    }

    private static string Traces(params string[] spans) => $$$"""
        {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[{{{string.Join(',', spans)}}}]}]}]}
        """;

    private static async Task<HttpResponseMessage> PostAsync(
        TelemetryHost host, string body, string type = "application/json", string key = TelemetryHost.Key, bool gzip = false)
    {
        using var client = new HttpClient();
        var bytes = Encoding.UTF8.GetBytes(body);
        if (gzip)
        {
            using var packed = new MemoryStream();
            await using (var zip = new GZipStream(packed, CompressionLevel.Fastest))
            {
                await zip.WriteAsync(bytes);
            }

            bytes = packed.ToArray();
        }

        using var content = new ByteArrayContent(bytes) { Headers = { ContentType = new MediaTypeHeaderValue(type) } };
        if (gzip)
        {
            content.Headers.ContentEncoding.Add("gzip");
        }

        content.Headers.Add("x-otlp-api-key", key);
        return await client.PostAsync($"{host.Http}/v1/traces", content);
    }
}
