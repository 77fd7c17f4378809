using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using MobileServices.Push;
using MobileServices.Push.Networks;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>What goes to FCM and APNs, on fakes that other people's clients take for the networks.</summary>
public sealed class NetworkTests(PushService service) : IClassFixture<PushService>
{
    [Theory]
    [InlineData("high", false, "HIGH", "10", "10", "alert")]
    [InlineData("normal", false, "NORMAL", "10", "10", "alert")]
    [InlineData("low", false, "NORMAL", "5", "5", "alert")]
    [InlineData("very-low", false, "NORMAL", "5", "1", "alert")]
    [InlineData("high", true, "HIGH", "5", "5", "background")]
    [InlineData("normal", true, "NORMAL", "5", "5", "background")]
    public async Task Urgency_and_silence_are_told_to_each_network_in_its_own_words(
        string urgency, bool silent, string fcmPriority, string fcmApnsPriority, string apnsPriority, string pushType)
    {
        var app = await service.NewReadyAppAsync();
        var fcm = await service.DeviceAsync(app, "fcm");
        var apns = await service.DeviceAsync(app, "apns");
        var web = await service.DeviceAsync(app, "webpush");

        var message = await service.SendAsync(new
        {
            app,
            audience = "all",
            urgency,
            silent,
            ttlSeconds = 600,
            collapseKey = "orders",
            content = silent ? (object)new { data = new { page = "/orders" } } : new { title = "Hello", body = "There", badge = 3, sound = "default", image = "https://shop.example/a.png", data = new { page = "/orders" } },
        });

        Assert.Equal(3, (await service.CompletedAsync(message))["accepted"]);
        var toFcm = Body(service.Fcm, fcm).GetProperty("message");
        Assert.Equal((fcmPriority, fcmApnsPriority, pushType), (
            toFcm.GetProperty("android").Text("priority"), toFcm.GetProperty("apns").GetProperty("headers").Text("apns-priority"),
            toFcm.GetProperty("apns").GetProperty("headers").Text("apns-push-type")));
        Assert.Equal(!silent, toFcm.TryGetProperty("notification", out _));
        var toApns = Assert.Single(service.Apns.Journal, pushed => pushed.Address == apns.Address);
        Assert.Equal((apnsPriority, pushType), (toApns.Headers["apns-priority"], toApns.Headers["apns-push-type"]));
        var aps = JsonDocument.Parse(toApns.Body).RootElement.GetProperty("aps");
        Assert.Equal(silent, aps.TryGetProperty("content-available", out _));
        Assert.Equal(!silent, aps.TryGetProperty("alert", out _));
        Assert.Equal(urgency, service.Web.Journal.Single(pushed => pushed.Address == web.Address).Headers["Urgency"]);
    }

    [Fact]
    public async Task FCM_gets_what_Googles_own_types_allow_with_a_token_that_is_used_again()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "fcm");
        var before = service.Fcm.Journal.Count(pushed => pushed.Path == "/token");

        for (var round = 0; round < 3; round++)
        {
            await service.CompletedAsync(await service.SendAsync(new
            {
                app,
                audience = "all",
                collapseKey = "k",
                ttlSeconds = 3600,
                urgency = "high",
                category = "news",
                content = new { title = "Hello", body = "There", badge = 1, sound = "ding", data = new { page = "/" }, actions = new[] { new { id = "open", title = "Open" } } },
            }));
        }

        var sent = service.Fcm.Journal.Where(pushed => pushed.Address == device.Address).ToList();
        Assert.Equal(3, sent.Count);
        Assert.Single(sent.Select(pushed => pushed.Headers["Authorization"]).Distinct());
        Assert.StartsWith("Bearer ya29.", sent[0].Headers["Authorization"]);
        Assert.All(sent, pushed => Assert.Equal(("/v1/projects/shop/messages:send", "HTTP/2"), (pushed.Path, pushed.Protocol)));
        // The dry call of the saved credential had one, the sender the other.
        Assert.InRange(service.Fcm.Journal.Count(pushed => pushed.Path == "/token") - before, 0, 1);
        Assert.Equal("ok", await NpmClients.RunAsync("fcm-types.mjs", Encoding.UTF8.GetString(sent[0].Body)));
        Assert.StartsWith("request.message.token", await NpmClients.RunAsync("fcm-types.mjs", """{"message":{"token":3}}"""));
    }

    [Fact]
    public async Task FCMs_access_token_is_asked_for_with_an_assertion_of_the_service_account_and_anew_when_it_was_withdrawn()
    {
        using var key = RSA.Create(2048);
        var app = service.NewApp();
        var device = await service.DeviceAsync(app, "fcm");
        await service.PutAsync($"/push/apps/{app}/networks/fcm", new
        {
            serviceAccount = new { project_id = "shop", private_key_id = "k7", private_key = key.ExportPkcs8PrivateKeyPem(), client_email = "mine@shop.example" },
        });

        var form = service.Fcm.Journal.Where(pushed => pushed.Path == "/token").Select(pushed => System.Web.HttpUtility.ParseQueryString(Encoding.ASCII.GetString(pushed.Body)))
            .Single(form => new JsonWebToken(form["assertion"]).Issuer == "mine@shop.example");
        Assert.Equal("urn:ietf:params:oauth:grant-type:jwt-bearer", form["grant_type"]);
        var result = await new JsonWebTokenHandler().ValidateTokenAsync(form["assertion"], new()
        {
            ValidIssuer = "mine@shop.example",
            ValidAudience = $"{service.Fcm.PlainAddress}/token",
            IssuerSigningKey = new RsaSecurityKey(key),
            ValidAlgorithms = ["RS256"],
        });
        Assert.True(result.IsValid, result.Exception?.Message);
        Assert.Equal("https://www.googleapis.com/auth/firebase.messaging", result.Claims["scope"]);
        Assert.Equal(1, (await service.CompletedAsync(await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } })))["accepted"]);
        Assert.Equal(1, service.Fcm.Count(device.Address));
    }

    [Fact]
    public async Task A_credential_is_tried_when_it_is_saved_and_its_secret_never_comes_back()
    {
        var app = service.NewApp();
        service.Fcm.Script("token", 400, new { error = "invalid_grant" });
        try
        {
            using var refused = await service.Http.PutAsJsonAsync($"/push/apps/{app}/networks/fcm", new { serviceAccount = PushService.ServiceAccount() });
            Assert.Contains("invalid_grant", (await refused.ProblemAsync(422)).Text("detail"), StringComparison.Ordinal);
        }
        finally
        {
            service.Fcm.Forget("token");
        }
        Assert.Empty((await service.Http.GetFromJsonAsync<JsonElement>($"/push/apps/{app}/networks")).EnumerateArray());

        await service.PutAsync($"/push/apps/{app}/networks/apns", PushService.ApnsCredential());
        var text = await service.Http.GetStringAsync($"/push/apps/{app}/networks");
        Assert.Contains("com.example.shop", text, StringComparison.Ordinal);
        Assert.DoesNotContain("PRIVATE", text, StringComparison.Ordinal);
        using var wrong = await service.Http.PutAsJsonAsync($"/push/apps/{app}/networks/apns", new { keyId = "short", teamId = "TEAM123456", topic = "a b", privateKey = "no key" });
        Assert.Equal(["keyId", "privateKey", "topic"], (await wrong.ProblemAsync(400)).GetProperty("errors").EnumerateObject().Select(error => error.Name).Order());
        using var nowhere = await service.Http.PutAsJsonAsync($"/push/apps/{app}/networks/pigeon", new { });
        await nowhere.ProblemAsync(404);
    }

    [Fact]
    public async Task Many_messages_to_APNs_share_a_provider_token_and_name_themselves_the_same_in_the_ledger()
    {
        var app = await service.NewReadyAppAsync();
        var devices = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => service.DeviceAsync(app, "apns")));

        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" }, ttlSeconds = 0 });

        Assert.Equal(30, (await service.CompletedAsync(message))["accepted"]);
        var sent = service.Apns.Journal.Where(pushed => devices.Any(device => device.Address == pushed.Address)).ToList();
        Assert.Equal(30, sent.Count);
        Assert.All(sent, pushed => Assert.Equal("HTTP/2", pushed.Protocol));
        Assert.All(sent, pushed => Assert.Equal("0", pushed.Headers["apns-expiration"]));
        Assert.All(sent, pushed => Assert.Equal("com.example.shop", pushed.Headers["apns-topic"]));
        var token = new JsonWebToken(Assert.Single(sent.Select(pushed => pushed.Headers["Authorization"]).Distinct())["bearer ".Length..]);
        Assert.Equal(("ES256", "ABCDE12345", "TEAM123456"), (token.Alg, token.Kid, token.Issuer));
        var page = await service.Http.GetFromJsonAsync<JsonElement>($"/push/messages/{message}/deliveries?limit=1000");
        Assert.Equal(
            sent.Select(pushed => pushed.Headers["apns-id"]).Order(), page.GetProperty("deliveries").EnumerateArray().Select(delivery => delivery.Text("networkId")).Order());
    }

    /// <summary>The fake answers an independent client as APNs does: what ours is tested against is no invention of ours.</summary>
    [Fact]
    public async Task The_fake_of_APNs_is_one_to_node_apn()
    {
        var (good, gone, bad) = (PushService.ApnsToken(), PushService.ApnsToken(), PushService.ApnsToken());
        service.Apns.Script(gone, 410, new { reason = "Unregistered", timestamp = 1700000000000 });
        service.Apns.Script(bad, 400, new { reason = "BadDeviceToken" });
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var (ca, pem) = (Path.Combine(folder.FullName, "ca.pem"), Path.Combine(folder.FullName, "key.p8"));
            await File.WriteAllTextAsync(ca, service.Apns.Certificate.ExportCertificatePem());
            await File.WriteAllTextAsync(pem, key.ExportPkcs8PrivateKeyPem());

            var result = JsonDocument.Parse(await NpmPushService.RunAsync("node-apn.mjs", service.Apns.TlsPort.ToString(), ca, pem, good, gone, bad)).RootElement;

            Assert.Equal(good, Assert.Single(result.GetProperty("sent").EnumerateArray()).GetString());
            var failed = result.GetProperty("failed").EnumerateArray().ToDictionary(one => one.Text("device"));
            Assert.Equal("Unregistered", failed[gone].Text("reason"));
            Assert.Equal("BadDeviceToken", failed[bad].Text("reason"));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
        var theirs = service.Apns.Journal.Single(pushed => pushed.Address == good);
        Assert.Equal(("HTTP/2", "k", "alert", "10"), (theirs.Protocol, theirs.Headers["apns-collapse-id"], theirs.Headers["apns-push-type"], theirs.Headers["apns-priority"]));
    }

    [Fact]
    public async Task The_fake_of_APNs_is_one_to_apns2_as_well_also_when_it_is_slow()
    {
        var (good, gone, slow) = (PushService.ApnsToken(), PushService.ApnsToken(), PushService.ApnsToken());
        service.Apns.Script(gone, 410, new { reason = "Unregistered", timestamp = 1700000000000 });
        service.Apns.Script(slow, async (http, _) =>
        {
            // The others are answered meanwhile, on the same connection.
            await Eventually.TrueAsync(() => service.Apns.Count(good) > 0 && service.Apns.Count(gone) > 0, PushService.Patience);
            await service.Apns.SucceedAsync(http);
        });
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var (ca, pem) = (Path.Combine(folder.FullName, "ca.pem"), Path.Combine(folder.FullName, "key.p8"));
            await File.WriteAllTextAsync(ca, service.Apns.Certificate.ExportCertificatePem());
            await File.WriteAllTextAsync(pem, key.ExportPkcs8PrivateKeyPem());

            var output = await NpmClients.RunAsync("apns2.mjs", "", [("NODE_EXTRA_CA_CERTS", ca)], service.Apns.TlsPort.ToString(), pem, slow, good, gone);

            var reasons = JsonDocument.Parse(output).RootElement.EnumerateArray().ToDictionary(one => one.Text("token"), one => one.GetProperty("reason").GetString());
            Assert.Equal((null, null, "Unregistered"), (reasons[good], reasons[slow], reasons[gone]));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
        var theirs = service.Apns.Journal.Single(pushed => pushed.Address == good);
        Assert.Equal(("HTTP/2", "k2", "com.example.shop"), (theirs.Protocol, theirs.Headers["apns-collapse-id"], theirs.Headers["apns-topic"]));
    }

    [Fact]
    public async Task An_answer_that_breaks_off_after_its_status_has_told_what_became_of_the_message()
    {
        var app = await service.NewReadyAppAsync();
        var (taken, failing) = (await service.DeviceAsync(app, "apns"), await service.DeviceAsync(app, "apns"));
        service.Apns.Script(taken.Address, (http, number) => BreakOffAsync(http, 200));
        service.Apns.Script(failing.Address, (http, number) => number is 1 ? BreakOffAsync(http, 503) : service.Apns.SucceedAsync(http));

        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });

        Assert.Equal(2, (await service.CompletedAsync(message))["accepted"]);
        Assert.Equal((1, 2), (service.Apns.Count(taken.Address), service.Apns.Count(failing.Address)));

        static async Task BreakOffAsync(Microsoft.AspNetCore.Http.HttpContext http, int status)
        {
            http.Response.StatusCode = status;
            http.Response.ContentLength = 100;
            await http.Response.Body.WriteAsync("{\"reason\":"u8.ToArray());
            await http.Response.Body.FlushAsync();
            http.Abort();
        }
    }

    [Theory]
    [InlineData("https://127.0.0.1/push/a")]
    [InlineData("https://10.0.0.7/push/a")]
    [InlineData("https://169.254.169.254/latest/meta-data")]
    [InlineData("https://[::1]/push/a")]
    [InlineData("https://[::ffff:192.168.1.1]/push/a")]
    [InlineData("https://[fd00::1]/push/a")]
    [InlineData("https://2130706433/push/a")]
    [InlineData("https://localhost/push/a")]
    [InlineData("https://router.local/push/a")]
    [InlineData("http://push.example.com/push/a")]
    [InlineData("https://user:secret@push.example.com/push/a")]
    [InlineData("ftp://push.example.com/a")]
    [InlineData("/push/a")]
    public void An_endpoint_that_leads_inside_is_refused(string endpoint)
    {
        Assert.NotNull(PublicAddresses.Check(endpoint, privateToo: false));
        Assert.Null(PublicAddresses.Check("https://fcm.googleapis.com/fcm/send/abc", privateToo: false));
        Assert.Null(PublicAddresses.Check("https://8.8.8.8/push", privateToo: false));
    }

    [Fact]
    public async Task A_name_that_leads_inside_by_the_time_of_the_call_is_not_called()
    {
        using var http = new PushHttp(Options.Create(new PushOptions()), (_, _) => Task.FromResult<IPAddress[]>([IPAddress.Loopback]));
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://push.example.com:{new Uri(service.Web.PlainAddress).Port}/push/rebound");

        var answer = await http.SendToStrangerAsync(request, [1], "application/octet-stream", "aes128gcm", CancellationToken.None);

        Assert.Equal(OutcomeClass.Refused, answer.Failure!.Class);
        Assert.Equal(0, service.Web.Count("rebound"));
        // The same call where private addresses are allowed does arrive.
        using var open = new PushHttp(Options.Create(new PushOptions { AllowPrivateEndpoints = true }), (_, _) => Task.FromResult<IPAddress[]>([IPAddress.Loopback]));
        using var again = new HttpRequestMessage(HttpMethod.Post, request.RequestUri);
        Assert.Equal(201, (await open.SendToStrangerAsync(again, [1], "application/octet-stream", "aes128gcm", CancellationToken.None)).Status);
        Assert.Equal(1, service.Web.Count("rebound"));
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "webpush");
        service.Web.Script(device.Address, 307, null, ("Location", $"{service.Web.PlainAddress}/push/elsewhere"));

        var message = await service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });

        Assert.Equal(1, (await service.CompletedAsync(message))["failed"]);
        Assert.Equal(0, service.Web.Count("elsewhere"));
    }

    private static JsonElement Body(FakeNetwork fake, TestDevice device) => JsonDocument.Parse(fake.Journal.Single(pushed => pushed.Address == device.Address).Body).RootElement;
}
