using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>What is refused with a reason instead of going wrong later.</summary>
public sealed class RefusalTests(PushService service) : IClassFixture<PushService>
{
    [Theory]
    [InlineData("POST", "/push/messages", """{"app":"com.example.a","audience":"all","content":{"title":"a\u0000b"}}""", "content.title")]
    [InlineData("POST", "/push/messages", """{"app":"com.example.a","audience":"all","content":{"body":"\u0000"}}""", "content.body")]
    [InlineData("POST", "/push/messages", """{"app":"com.example.a","audience":"all","content":{"title":"a","data":{"page":"\u0000"}}}""", "content.data.page")]
    [InlineData("POST", "/push/messages", """{"app":"com.example.a","audience":"all","content":{"title":"a","data":{"p\u0000":"a"}}}""", "content.data")]
    [InlineData("POST", "/push/messages", """{"app":"com.example.a","audience":"all","content":{"title":"a","localized":{"de":{"title":"\u0000"}}}}""", "content.localized.de.title")]
    [InlineData("POST", "/push/messages", """{"app":"com.example.a","audience":"all","content":{"title":"a","apns":{"payload":{"x":["\u0000"]}}}}""", "content.apns.payload.x")]
    [InlineData("POST", "/push/messages", """{"app":"com.example.a","audience":"all","content":{"title":"{{a}}"},"parameters":{"a":"\u0000"}}""", "parameters.a")]
    [InlineData("POST", "/push/messages", """{"app":"com.example.a","audience":"all","content":{"title":"a"},"collapseKey":"\u0000"}""", "collapseKey")]
    [InlineData("POST", "/push/messages", """{"app":"com.example.a","audience":"all","template":"\u0000"}""", "template")]
    [InlineData("PUT", "/push/apps/com.example.a/templates/hello", """{"title":"\u0000"}""", "title")]
    [InlineData("PUT", "/push/apps/com.example.a/networks/webpush", """{"subject":"mailto:a\u0000@example.com"}""", "subject")]
    [InlineData("POST", "/push/wakeups", """{"app":"com.example.a","users":["a\u0000"],"changed":["orders"]}""", "users")]
    [InlineData("GET", "/push/messages/3f2504e0-4f89-41d3-9a0c-0305e82c3301/deliveries?state=%00", null, "state")]
    [InlineData("POST", "/push/messages", """{"app":"com.example.a","audience":"all","content":{"title":"a"},"sendAtLocal":"0001-01-01T00:00:00"}""", "sendAtLocal")]
    [InlineData("POST", "/push/messages", """{"app":"com.example.a","audience":"all","content":{"title":"a"},"sendAtLocal":"9999-12-31T23:59:59"}""", "sendAtLocal")]
    public async Task What_the_database_cannot_keep_is_refused_with_its_field(string method, string path, string? body, string field)
    {
        using var request = new HttpRequestMessage(new(method), path) { Content = body is null ? null : new StringContent(body, System.Text.Encoding.UTF8, "application/json") };

        using var answer = await service.Http.SendAsync(request);

        Assert.Equal([field], (await answer.ProblemAsync(400)).GetProperty("errors").EnumerateObject().Select(error => error.Name));
    }

    [Theory]
    [InlineData("webpush", "https://push.example.com/a")]
    [InlineData("fcm", "fcm_refused")]
    [InlineData("apns", "00112233445566778899aabbccddeeff")]
    public async Task Keys_that_nothing_can_be_encrypted_to_are_refused_when_they_are_registered(string network, string address)
    {
        var point = RandomNumberGenerator.GetBytes(65);
        point[0] = 4;
        var good = JsonSerializer.SerializeToElement(PushService.Keys());
        foreach (var (p256dh, auth, field) in new[]
        {
            (Base64(point), good.Text("auth"), "keys.p256dh"),
            (Base64(point[..64]), good.Text("auth"), "keys.p256dh"),
            (good.Text("p256dh"), Base64(new byte[15]), "keys.auth"),
            (good.Text("p256dh"), Base64(new byte[17]), "keys.auth"),
        })
        {
            using var answer = await RegisterAsync(service.Http, network, address, new { p256dh, auth });
            Assert.Equal([field], (await answer.ProblemAsync(400)).GetProperty("errors").EnumerateObject().Select(error => error.Name));
        }
        using var none = await RegisterAsync(service.Http, network, address, new { });
        Assert.Equal(["keys.auth", "keys.p256dh"], (await none.ProblemAsync(400)).GetProperty("errors").EnumerateObject().Select(error => error.Name).Order());
        using var right = await RegisterAsync(service.Http, network, address, good);
        Assert.Equal(HttpStatusCode.Created, right.StatusCode);

        static string Base64(byte[] bytes) => System.Buffers.Text.Base64Url.EncodeToString(bytes);
    }

    [Fact]
    public async Task Endpoints_inside_are_refused_where_they_are_not_allowed()
    {
        await using var strict = service.Start(("Push:AllowPrivateEndpoints", "false"));
        foreach (var endpoint in new[] { "https://10.0.0.1/push", "https://127.0.0.1:8443/push", "https://[::1]/push", "https://localhost/push", "https://db.internal/push", "http://push.example.com/a" })
        {
            using var answer = await RegisterAsync(strict.Http, "webpush", endpoint, PushService.Keys());
            Assert.Equal(["address"], (await answer.ProblemAsync(400)).GetProperty("errors").EnumerateObject().Select(error => error.Name));
        }
    }

    [Fact]
    public async Task Web_Push_has_to_have_keys_and_the_own_push_service_has_no_use_for_them()
    {
        using var missing = await RegisterAsync(service.Http, "webpush", "https://push.example.com/b", null);
        Assert.Equal(["keys.auth", "keys.p256dh"], (await missing.ProblemAsync(400)).GetProperty("errors").EnumerateObject().Select(error => error.Name).Order());
        using var useless = await RegisterAsync(service.Http, "own", "https://shop.example/push/endpoint/abc", PushService.Keys());
        Assert.Contains("own", (await useless.ProblemAsync(400)).GetProperty("errors").GetProperty("keys")[0].GetString(), StringComparison.Ordinal);
        using var right = await RegisterAsync(service.Http, "own", "https://shop.example/push/endpoint/abc", null);
        Assert.Equal(HttpStatusCode.Created, right.StatusCode);
    }

    private static Task<HttpResponseMessage> RegisterAsync(HttpClient http, string network, string address, object? keys) => http.PutAsJsonAsync($"/push/registrations/{Guid.NewGuid()}", new
    {
        appId = "com.example.refused",
        network,
        address,
        keys,
        platform = "web",
        appVersion = "1.0.0",
        locale = "en",
        timeZone = "UTC",
    });
}
