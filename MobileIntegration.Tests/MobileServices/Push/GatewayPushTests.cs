using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Gateway;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>All of push as apps, backends and strangers reach it: through the gateway, each with what its token allows.</summary>
public sealed class GatewayPushTests : IAsyncLifetime
{
    private readonly PushService _service = new();
    private TestService<DiscoveredDestinations> _gateway = null!;

    public async Task InitializeAsync()
    {
        await _service.InitializeAsync();
        _gateway = new(
            ("Management:Port", $"{TestServices.FreePort()}"), ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()),
            TestServices.At("push", _service.One.Address), TestServices.At("devices", new("http://127.0.0.1:9")));
    }

    public async Task DisposeAsync()
    {
        await _gateway.DisposeAsync();
        await _service.DisposeAsync();
    }

    [Fact]
    public async Task An_app_without_any_vendor_gets_a_message_through_the_gateway_and_tells_that_it_was_opened()
    {
        var app = _service.NewApp();
        var device = Guid.NewGuid();
        using var ada = ClientOf("push", "ada");
        using var backend = ClientOf("push.send", "backend");
        var subscription = await (await ada.PostAsJsonAsync("/push/own/subscriptions", new { })).Content.ReadFromJsonAsync<JsonElement>();
        using var registered = await ada.PutAsJsonAsync($"/push/registrations/{device}", new
        {
            appId = app,
            network = "own",
            address = subscription.Text("endpoint"),
            platform = "android",
            appVersion = "1.0.0",
            locale = "en",
            timeZone = "UTC",
            tags = new[] { "news" },
        });
        Assert.True(registered.IsSuccessStatusCode, await registered.Content.ReadAsStringAsync());
        await using var stream = await DeviceStream.OpenAsync(ada, subscription.Text("messages"));

        using var sent = await backend.PostAsJsonAsync("/push/messages", new { app, audience = "topic == news", content = new { title = "Shipped" } });
        Assert.Equal(HttpStatusCode.Accepted, sent.StatusCode);
        var message = (await sent.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid();
        var pushed = await stream.NextAsync();
        Assert.Equal(HttpStatusCode.NoContent, (await ada.DeleteAsync($"/push/message/{pushed.Text("id")}")).StatusCode);
        using var told = await ada.PostAsJsonAsync($"/push/registrations/{device}/receipts", new { messages = new[] { new { id = message, state = "opened" } } });
        Assert.True(told.IsSuccessStatusCode, await told.Content.ReadAsStringAsync());

        // What the app tells may be there before what the network said is written down.
        await Eventually.TrueAsync(async () =>
        {
            var explanation = await backend.GetFromJsonAsync<JsonElement>($"/push/deliveries/{message:N}-{device:N}/explanation");
            var decisions = explanation.GetProperty("decisions").EnumerateArray().Select(decision => decision.Text("what")).ToList();
            return decisions[0] is "matched" && decisions.Contains("accepted") && decisions.Contains("opened");
        }, PushService.Patience);
        // An app sends to nobody, and a backend is no device.
        await (await ada.PostAsJsonAsync("/push/messages", new { app, audience = "all", content = new { title = "No" } })).ProblemAsync(403);
        await (await backend.PutAsJsonAsync($"/push/registrations/{device}", new { })).ProblemAsync(403);
    }

    [Fact]
    public async Task A_stranger_needs_no_token_to_push_to_an_endpoint_and_no_more_than_its_size_goes_through()
    {
        using var ada = ClientOf("push", "ada");
        using var stranger = new HttpClient();
        var subscription = await (await ada.PostAsJsonAsync("/push/own/subscriptions", new { })).Content.ReadFromJsonAsync<JsonElement>();

        using var sent = await PushAsync("hello", ("TTL", "60"), ("Urgency", "high"));
        Assert.Equal(HttpStatusCode.Created, sent.StatusCode);
        using var silent = await PushAsync("hello");
        Assert.Equal(HttpStatusCode.BadRequest, silent.StatusCode);
        using var large = await PushAsync(new string('x', 10_000), ("TTL", "60"));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, large.StatusCode);
        await using var stream = await DeviceStream.OpenAsync(ada, subscription.Text("messages"));
        Assert.Equal("high", (await stream.NextAsync()).Text("urgency"));
        using var without = await stranger.GetAsync(new Uri(_gateway.Address, subscription.Text("messages")));
        Assert.Equal(HttpStatusCode.Unauthorized, without.StatusCode);

        async Task<HttpResponseMessage> PushAsync(string body, params (string Name, string Value)[] headers)
        {
            // The settings say where the endpoints are; the gateway's port is not known before it listens.
            var endpoint = new Uri(_gateway.Address, new Uri(subscription.Text("endpoint")).AbsolutePath);
            using var request = new HttpRequestMessage(HttpMethod.Post, endpoint) { Content = new StringContent(body) };
            foreach (var (name, value) in headers)
            {
                request.Headers.Add(name, value);
            }
            return await stranger.SendAsync(request);
        }
    }

    private HttpClient ClientOf(string scope, string user)
    {
        var http = new HttpClient { BaseAddress = _gateway.Address };
        http.Authorize(TestAuthority.Shared.Token(scope, token => token.Claims["sub"] = user));
        return http;
    }
}
