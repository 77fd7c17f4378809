using System.Buffers.Text;
using System.Diagnostics;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using MobileServices.Push.Networks.WebPush;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Web Push by the RFCs' own examples and by other people's implementations.</summary>
public sealed class WebPushTests(PushService service) : IClassFixture<PushService>
{
    /// <summary>RFC 8291, appendix A.</summary>
    [Fact]
    public void The_example_of_RFC_8291_is_encrypted_as_there()
    {
        var ownPoint = Base64Url.DecodeFromChars("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8");
        using var own = ECDiffieHellman.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            D = Base64Url.DecodeFromChars("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
            Q = new() { X = ownPoint[1..33], Y = ownPoint[33..] },
        });

        var message = MessageEncryption.Encrypt(
            "When I grow up, I want to be a watermelon"u8,
            Base64Url.DecodeFromChars("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
            Base64Url.DecodeFromChars("BTBZMqHH6r4Tts7J_aSIgg"), own, Base64Url.DecodeFromChars("DGv6ra1nlYgDCS1FRnbzlw"));

        Assert.Equal(
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
            Base64Url.EncodeToString(message));
    }

    /// <summary>RFC 8292, section 2.4.</summary>
    [Fact]
    public void The_example_of_RFC_8292_is_understood_and_a_changed_one_is_not()
    {
        const string Example =
            "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs";
        var before = DateTimeOffset.FromUnixTimeSeconds(1453523768 - 3600);

        Assert.Equal(65, Vapid.Verify(Example, "https://push.example.net", before)!.Length);
        Assert.Null(Vapid.Verify(Example, "https://push.example.org", before));
        Assert.Null(Vapid.Verify(Example, "https://push.example.net", before.AddHours(2)));
        Assert.Null(Vapid.Verify(Example.Replace("i3CY", "i3CZ", StringComparison.Ordinal), "https://push.example.net", before));
        Assert.Null(Vapid.Verify("vapid t=a.b, k=c", "https://push.example.net", before));
    }

    [Fact]
    public void A_token_lasts_less_than_a_day_is_used_again_and_names_its_push_service()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var vapid = new Vapid(key.ExportPkcs8PrivateKey(), "mailto:push@example.com");
        var now = DateTimeOffset.UtcNow;
        var first = vapid.Authorize("https://one.example", now);

        Assert.NotNull(Vapid.Verify(first, "https://one.example", now));
        Assert.Equal(first, vapid.Authorize("https://one.example", now.AddHours(2)));
        Assert.NotEqual(first, vapid.Authorize("https://two.example", now));
        Assert.NotEqual(first, vapid.Authorize("https://one.example", now.AddHours(11.5)));
    }

    [Fact]
    public async Task A_message_goes_from_the_API_to_an_independent_push_service_that_decrypts_it()
    {
        await using var server = await NpmPushService.StartAsync();
        var app = await service.NewReadyAppAsync();
        var key = (await service.Http.GetFromJsonAsync<JsonElement>($"/push/apps/{app}/vapid")).GetProperty("publicKey").GetString()!;
        var (subscription, hash) = await server.SubscribeAsync(key);
        var device = Guid.NewGuid();
        using (var http = service.ClientOf("ada"))
        {
            using var answer = await http.PutAsJsonAsync($"/push/registrations/{device}", new
            {
                appId = app,
                network = "webpush",
                address = subscription.GetProperty("endpoint").GetString(),
                keys = subscription.GetProperty("keys"),
                platform = "web",
                appVersion = "1.0.0",
                locale = "de-AT",
                timeZone = "Europe/Vienna",
                tags = new[] { "news" },
            });
            Assert.Equal(201, (int)answer.StatusCode);
        }

        var message = await service.SendAsync(new
        {
            app,
            audience = "news && locale == de",
            content = new { title = "Hello", localized = new { de = new { title = "Grüß Gott, {{name}}", body = "Es gibt Neues" } }, data = new { page = "/news" } },
            parameters = new { name = "Ada" },
        });

        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        var text = Assert.Single(await server.MessagesAsync(hash));
        var payload = JsonDocument.Parse(text).RootElement;
        Assert.Equal("Grüß Gott, Ada", payload.GetProperty("title").GetString());
        Assert.Equal("/news", payload.GetProperty("data").GetProperty("page").GetString());
        Assert.Equal(message, payload.GetProperty("id").GetGuid());
        Assert.Equal(["matched", "accepted"], await service.DecisionsAsync(message, device));

        await server.ExpireAsync(hash);
        var next = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });
        Assert.Equal(1, (await service.CompletedAsync(next))["dead"]);
        Assert.Equal(0L, await service.QueryAsync<long>("select count(*) from push.registration where device_id = @device", ("device", device)));
    }

    [Fact]
    public async Task Headers_tell_time_urgency_and_topic_and_http_ece_decrypts_the_body()
    {
        var app = await service.NewReadyAppAsync();
        var keys = DeviceKeys.New();
        var path = $"sub{Guid.NewGuid():N}";
        using (var http = service.ClientOf("ada"))
        {
            using var answer = await http.PutAsJsonAsync($"/push/registrations/{Guid.NewGuid()}", new
            {
                appId = app,
                network = "webpush",
                address = $"{service.Web.PlainAddress}/push/{path}",
                keys = keys.Public,
                platform = "web",
                appVersion = "1.0.0",
                locale = "en",
                timeZone = "UTC",
            });
            Assert.Equal(201, (int)answer.StatusCode);
        }

        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Sale", body = "Today" }, urgency = "high", ttlSeconds = 600, collapseKey = "a key that is far longer than thirty-two characters" });

        Assert.Equal(1, (await service.CompletedAsync(message))["accepted"]);
        var pushed = Assert.Single(service.Web.Journal, pushed => pushed.Address == path);
        Assert.Equal("aes128gcm", pushed.Headers["Content-Encoding"]);
        Assert.Equal("high", pushed.Headers["Urgency"]);
        Assert.InRange(int.Parse(pushed.Headers["TTL"]), 1, 600);
        Assert.Matches("^[A-Za-z0-9_-]{32}$", pushed.Headers["Topic"]);
        Assert.NotNull(Vapid.Verify(pushed.Headers["Authorization"], service.Web.PlainAddress, DateTimeOffset.UtcNow));
        Assert.DoesNotContain("traceparent", pushed.Headers.Keys);
        Assert.Equal("Sale", (await keys.DecryptAsync(pushed.Body)).Text("title"));
    }
}

/// <summary>The npm package web-push-testing: a push service that checks signatures and decrypts.</summary>
internal sealed class NpmPushService(Process process, HttpClient http) : IAsyncDisposable
{
    public static async Task<NpmPushService> StartAsync()
    {
        var port = TestServices.FreePort();
        var process = Start("web-push-testing.mjs", port.ToString());
        var http = new HttpClient { BaseAddress = new($"http://127.0.0.1:{port}") };
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                using var status = await http.PostAsync("/status", null);
                return status.IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }, PushService.Patience);
        return new(process, http);
    }

    public async Task<(JsonElement Subscription, string Hash)> SubscribeAsync(string key)
    {
        using var answer = await http.PostAsJsonAsync("/subscribe", new { userVisibleOnly = "true", applicationServerKey = key });
        var data = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("data");
        return (data, data.GetProperty("clientHash").GetString()!);
    }

    public async Task<List<string>> MessagesAsync(string hash)
    {
        using var answer = await http.PostAsJsonAsync("/get-notifications", new { clientHash = hash });
        return [.. (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("data").GetProperty("messages").EnumerateArray().Select(message => message.GetString()!)];
    }

    public async Task ExpireAsync(string hash)
    {
        using var answer = await http.PostAsync($"/expire-subscription/{hash}", null);
        Assert.True(answer.IsSuccessStatusCode);
    }

    /// <summary>Runs a client to its end and returns what it printed.</summary>
    public static async Task<string> RunAsync(string script, params string[] arguments)
    {
        using var process = Start(script, arguments);
        var (code, output, error) = await process.EndAsync();
        Assert.True(code is 0, error);
        return output.Trim();
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
        process.Dispose();
        http.Dispose();
    }

    private static Process Start(string script, params string[] arguments) => Process.Start(new ProcessStartInfo("node", [script, .. arguments])
    {
        WorkingDirectory = NpmClients.Folder(),
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;
}
