using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text;
using MobileIntegration.Tests.AppHost;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Trace;
using static MobileIntegration.Tests.MobileServices.Analytics.AnalyticsService;

namespace MobileIntegration.Tests.MobileServices.Analytics;

/// <summary>What apps export of themselves reaches the collector.</summary>
public sealed class AnalyticsOtlpTests(AnalyticsService service) : IClassFixture<AnalyticsService>
{
    [Fact]
    public async Task A_trace_of_an_app_reaches_a_collector_that_takes_gRPC()
    {
        await using var collector = await TraceReceiver.StartAsync();
        await using var replica = service.Start(("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Address));
        var app = await service.NewAppAsync(replica);
        using var source = new ActivitySource($"app-{Guid.NewGuid():n}");
        using var tracing = Sdk.CreateTracerProviderBuilder().AddSource(source.Name).AddOtlpExporter(exporter =>
        {
            exporter.Endpoint = new(replica.Address, "/v1/otlp/v1/traces");
            exporter.Protocol = OtlpExportProtocol.HttpProtobuf;
            exporter.Headers = $"authorization=Basic {Basic(app.Key)}";
            exporter.ExportProcessorType = ExportProcessorType.Simple;
        }).Build();

        var activity = source.StartActivity("tap")!;
        activity.Stop();

        var spans = await collector.WaitForTraceAsync(activity.TraceId.ToHexString(), spans => spans.Count > 0, Patience);
        Assert.Equal("tap", Assert.Single(spans).Name);
    }

    [Fact]
    public async Task A_collector_that_takes_HTTP_gets_it_as_it_came()
    {
        await using var collector = await Upstream.StartAsync();
        await using var replica = service.Start(
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Address.ToString()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=one%20two"), ("OTEL_SDK_DISABLED", "true"));
        var app = await service.NewAppAsync(replica);

        using var response = await app.PostAsync("/v1/otlp/v1/logs", """{"resourceLogs":[]}""");

        Assert.Equal("{}", await response.Content.ReadAsStringAsync());
        var got = Assert.Single(collector.Journal, one => one.Body == """{"resourceLogs":[]}""");
        Assert.Equal(("POST", "/v1/logs", "one two"), (got.Method, got.Path, got.Headers["x-api-key"]));
        Assert.DoesNotContain("authorization", got.Headers.Keys, StringComparer.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task What_is_too_much_too_often_or_not_to_be_told_is_refused()
    {
        await using var replica = service.Start(("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("Analytics:OtlpPerMinute", "3"), ("OTEL_SDK_DISABLED", "true"));
        var app = await service.NewAppAsync(replica);
        using var none = await app.PostAsync("/v1/otlp/v1/traces", Protobuf(1), service.One.Http);
        await none.ProblemAsync(404);
        using var unknown = await app.PostAsync("/v1/otlp/v1/traces", Protobuf(1), key: "letmein");
        await unknown.ProblemAsync(401);
        using var json = await app.PostAsync("/v1/otlp/v1/traces", "{}");
        await json.ProblemAsync(415);

        using var away = await app.PostAsync("/v1/otlp/v1/traces", Protobuf(1));
        await away.ProblemAsync(503);
        Assert.NotNull(away.Headers.RetryAfter);
        var bomb = new ByteArrayContent(Zip(new byte[(1 << 20) + 1])) { Headers = { ContentType = new("application/x-protobuf"), ContentEncoding = { "gzip" } } };
        using var large = await app.PostAsync("/v1/otlp/v1/traces", bomb);
        Assert.Contains("1048576", (await large.ProblemAsync(400)).Text("detail"), StringComparison.Ordinal);
        for (var calls = 0; calls < 2; calls++)
        {
            using var more = await app.PostAsync("/v1/otlp/v1/metrics", Protobuf(1));
            if (calls is 1)
            {
                await more.ProblemAsync(429);
                Assert.NotNull(more.Headers.RetryAfter);
            }
        }
    }

    private static ByteArrayContent Protobuf(int length) => new(new byte[length]) { Headers = { ContentType = new MediaTypeHeaderValue("application/x-protobuf") } };

    private static string Basic(string key) => Convert.ToBase64String(Encoding.UTF8.GetBytes($"{key}:"));
}
