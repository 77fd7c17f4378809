using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using MobileServices.Push;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>What an operator sees of a network, a credential and a class of outcome, in metrics and traces.</summary>
public sealed class MetricsTests(PushService service) : IClassFixture<PushService>
{
    private static readonly Dictionary<(string Network, string Class), (int Status, string? Body)> Answers = new()
    {
        [("webpush", "Accepted")] = (201, null),
        [("webpush", "Dead")] = (410, null),
        [("webpush", "Misconfigured")] = (403, null),
        [("webpush", "Transient")] = (503, null),
        [("webpush", "Refused")] = (413, null),
        [("fcm", "Accepted")] = (200, """{"name":"projects/shop/messages/1"}"""),
        [("fcm", "Dead")] = (404, """{"error":{"details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}"""),
        [("fcm", "Misconfigured")] = (403, """{"error":{"status":"PERMISSION_DENIED"}}"""),
        [("fcm", "Mismatched")] = (403, """{"error":{"details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"SENDER_ID_MISMATCH"}]}}"""),
        [("fcm", "Transient")] = (503, """{"error":{"status":"UNAVAILABLE"}}"""),
        [("apns", "Accepted")] = (200, null),
        [("apns", "Dead")] = (410, """{"reason":"Unregistered","timestamp":4102444800000}"""),
        [("apns", "Misconfigured")] = (403, """{"reason":"InvalidProviderToken"}"""),
        [("apns", "Transient")] = (429, """{"reason":"TooManyRequests"}"""),
        [("apns", "Unknown")] = (0, null),
    };

    [Fact]
    public async Task Every_attempt_is_counted_by_network_app_and_class_and_every_end_by_network_app_and_state_and_nothing_tells_an_address()
    {
        var attempts = new ConcurrentQueue<(string Network, string App, string Class)>();
        var ends = new ConcurrentQueue<(string Network, string App, string State)>();
        var told = new ConcurrentQueue<string>();
        using var listener = Listen(attempts, ends, told);
        List<(string App, string Network, string Class, TestDevice Device)> cases = [];
        foreach (var ((network, outcome), (status, body)) in Answers)
        {
            var app = await service.NewReadyAppAsync();
            var device = await service.DeviceAsync(app, network);
            Fake(network).ScriptFirst(device.Address, 1, (http, _) => AnswerAsync(http, status, body));
            await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
            cases.Add((app, network, outcome, device));
        }

        foreach (var (app, network, outcome, _) in cases)
        {
            // What goes by is taken at the second attempt; what is wrong with the credential stops all others.
            (string, string, string)[] expected = outcome is "Transient" ? [(network, app, outcome), (network, app, "Accepted")] : [(network, app, outcome)];
            await Eventually.TrueAsync(() => attempts.Count(attempt => attempt.App == app) >= expected.Length, PushService.Patience);
            Assert.Equal(expected, attempts.Where(attempt => attempt.App == app));
        }
        (string, string)[] ended =
        [
            ("apns", "accepted"), ("apns", "accepted"), ("apns", "dead"), ("apns", "unknown"), ("fcm", "accepted"), ("fcm", "accepted"), ("fcm", "dead"), ("fcm", "failed"),
            ("webpush", "accepted"), ("webpush", "accepted"), ("webpush", "dead"), ("webpush", "failed"),
        ];
        await Eventually.TrueAsync(() => ends.Count >= ended.Length, PushService.Patience);
        Assert.Equal(ended, ends.Select(end => (end.Network, end.State)).Order());
        Assert.Equal(cases.Where(one => one.Class is not "Misconfigured").Select(one => (one.Network, one.App)).Order(), ends.Select(end => (end.Network, end.App)).Order());
        Assert.All(cases, one => Assert.DoesNotContain(told, value => value.Contains(one.Device.Address, StringComparison.Ordinal) || value.Contains($"{one.Device.Id}", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_message_is_spread_in_the_trace_of_its_request_and_every_attempt_has_a_span_with_its_network_and_class()
    {
        ActivitySource? own = null;
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "mobile.push",
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        using (var probe = service.One.Services.GetRequiredService<PushMetrics>().Start("probe", ""))
        {
            own = probe!.Source;
        }
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "apns");
        service.Apns.Script(device.Address, 410, new { reason = "Unregistered" });
        var trace = ActivityTraceId.CreateRandom();
        using var http = new HttpClient(new SocketsHttpHandler { ActivityHeadersPropagator = null }) { BaseAddress = service.One.Address };
        http.Authorize(TestAuthority.AllScopes);
        http.DefaultRequestHeaders.Add("traceparent", $"00-{trace}-00f067aa0ba902b7-01");

        using var answer = await http.PostAsJsonAsync("/push/messages", new { app, audience = "all", content = new { title = "Hello" } });
        await service.CompletedAsync((await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid());

        await Eventually.TrueAsync(() => Own().Any(span => span.OperationName is "process push" && span.TraceId == trace), PushService.Patience);
        var sent = Assert.Single(Own(), span => span.OperationName is "send apns");
        Assert.Equal((ActivityKind.Client, "apns", app, "Dead"), (sent.Kind, sent.GetTagItem("push.network"), sent.GetTagItem("push.app"), sent.GetTagItem("push.outcome")));
        Assert.DoesNotContain(sent.TagObjects, tag => $"{tag.Value}".Contains(device.Address, StringComparison.Ordinal) || $"{tag.Value}".Contains($"{device.Id}", StringComparison.Ordinal));
        // A network outside is told of no trace.
        Assert.DoesNotContain("traceparent", service.Apns.Journal.Single(pushed => pushed.Address == device.Address).Headers.Keys, StringComparer.OrdinalIgnoreCase);

        IEnumerable<Activity> Own() => spans.Where(span => span.Source == own);
    }

    private MeterListener Listen(ConcurrentQueue<(string, string, string)> attempts, ConcurrentQueue<(string, string, string)> ends, ConcurrentQueue<string> told)
    {
        var factory = service.One.Services.GetRequiredService<IMeterFactory>();
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name is "mobile.push" && instrument.Meter.Scope == factory)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((instrument, seconds, tags, _) =>
        {
            Assert.Equal("mobile.push.attempt.duration", instrument.Name);
            Assert.InRange(seconds, 0, 60);
            var named = Named(tags);
            attempts.Enqueue((named["network"], named["app"], named["class"]));
        });
        listener.SetMeasurementEventCallback<long>((instrument, count, tags, _) =>
        {
            Assert.Equal(("mobile.push.deliveries", 1), (instrument.Name, count));
            var named = Named(tags);
            ends.Enqueue((named["network"], named["app"], named["state"]));
        });
        listener.Start();
        return listener;

        Dictionary<string, string> Named(ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            var named = tags.ToArray().ToDictionary(tag => tag.Key, tag => $"{tag.Value}");
            foreach (var (key, value) in named)
            {
                told.Enqueue(key);
                told.Enqueue(value);
            }
            return named;
        }
    }

    private static async Task AnswerAsync(HttpContext http, int status, string? body)
    {
        if (status is 0)
        {
            http.Abort();
            return;
        }
        http.Response.StatusCode = status;
        if (body is not null)
        {
            http.Response.ContentType = "application/json";
            await http.Response.WriteAsync(body);
        }
    }

    private FakeNetwork Fake(string network) => network switch { "webpush" => service.Web, "fcm" => service.Fcm, _ => service.Apns };
}
