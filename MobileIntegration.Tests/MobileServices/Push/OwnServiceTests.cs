using System.Buffers.Text;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Our own push service: npm's web-push sends to it unmodified, devices hold a stream.</summary>
public sealed partial class OwnServiceTests : IAsyncLifetime
{
    private TlsFront _front = null!;
    private PushService _service = null!;

    public async Task InitializeAsync()
    {
        _front = await TlsFront.StartAsync();
        _service = new() { More = [("Push:OwnAddress", _front.Address), ("Push:OwnTtlSeconds", "3600"), ("Push:OwnMostStored", "3"), ("Push:HeartbeatSeconds", "1")] };
        await _service.InitializeAsync();
        _front.Target = _service.One.Address;
    }

    public async Task DisposeAsync()
    {
        await _front.DisposeAsync();
        await _service.DisposeAsync();
    }

    [Fact]
    public async Task Web_push_from_npm_sends_to_a_device_that_listens_or_will()
    {
        using var key = ECDiffieHellman.Create(ECCurve.NamedCurves.nistP256);
        var device = key.ExportParameters(includePrivateParameters: true);
        var auth = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16));
        var keys = new { p256dh = Base64Url.EncodeToString([4, .. device.Q.X!, .. device.Q.Y!]), auth };
        var (vapid, sender) = NewSender();
        var (other, _) = NewSender();
        using var ada = _service.ClientOf("ada");
        var subscription = await SubscribeAsync(ada, sender);

        var first = await WebPushAsync(subscription.Endpoint, keys, vapid, "before it listens", new { TTL = 86400, urgency = "high" });
        Assert.Equal(201, first.GetProperty("status").GetInt32());
        // It keeps a message an hour at most, and says so.
        Assert.Equal("3600", first.GetProperty("headers").Text("ttl"));
        Assert.StartsWith($"{_front.Address}/push/message/", first.GetProperty("headers").Text("location"));

        await using var stream = await DeviceStream.OpenAsync(ada, subscription.Messages);
        var stored = await stream.NextAsync();
        Assert.Equal("before it listens", await DecryptAsync(stored));
        Assert.Equal(201, (await WebPushAsync(subscription.Endpoint, keys, vapid, "while it listens", new { TTL = 60 })).GetProperty("status").GetInt32());
        var live = await stream.NextAsync();
        Assert.Equal("while it listens", await DecryptAsync(live));

        // What was acknowledged does not come again, what was not does.
        Assert.Equal(HttpStatusCode.NoContent, (await ada.DeleteAsync($"/push/message/{stored.Text("id")}")).StatusCode);
        await (await ada.DeleteAsync($"/push/message/{stored.Text("id")}")).ProblemAsync(404);
        await using (var again = await DeviceStream.OpenAsync(ada, subscription.Messages))
        {
            Assert.Equal(live.Text("id"), (await again.NextAsync()).Text("id"));
        }

        // The subscription is for one sender.
        Assert.Equal(403, (await WebPushAsync(subscription.Endpoint, keys, other, "from another", new { TTL = 60 })).GetProperty("status").GetInt32());
        Assert.Equal(401, (await WebPushAsync(subscription.Endpoint, keys, null, "from nobody", new { TTL = 60 })).GetProperty("status").GetInt32());
        Assert.Equal(413, (await WebPushAsync(subscription.Endpoint, keys, vapid, new string('x', 4000), new { TTL = 60 })).GetProperty("status").GetInt32());
        Assert.Equal(HttpStatusCode.NoContent, (await ada.DeleteAsync($"/push/own/subscriptions/{subscription.Id}")).StatusCode);
        Assert.Equal(404, (await WebPushAsync(subscription.Endpoint, keys, vapid, "too late", new { TTL = 60 })).GetProperty("status").GetInt32());

        Task<string> DecryptAsync(JsonElement message) => NpmPushService.RunAsync("http-ece.mjs", JsonSerializer.Serialize(new
        {
            body = Convert.ToBase64String(Base64Url.DecodeFromChars(message.Text("body"))),
            key = Convert.ToBase64String(device.D!),
            auth,
        }));
    }

    [Fact]
    public async Task Of_a_topic_the_last_is_kept_and_of_too_many_the_newest()
    {
        using var ada = _service.ClientOf("ada");
        var subscription = await SubscribeAsync(ada, null);
        for (var number = 1; number <= 5; number++)
        {
            Assert.Equal(201, (int)(await PushAsync(subscription.Endpoint, $"topic {number}", ("TTL", "60"), ("Topic", "score"))).StatusCode);
        }
        Assert.Equal(201, (int)(await PushAsync(subscription.Endpoint, "apart", ("TTL", "60"), ("Urgency", "low"))).StatusCode);

        await using (var stream = await DeviceStream.OpenAsync(ada, subscription.Messages))
        {
            Assert.Equal(["topic 5", "apart"], [TextOf(await stream.NextAsync()), TextOf(await stream.NextAsync())]);
        }
        for (var number = 1; number <= 3; number++)
        {
            await PushAsync(subscription.Endpoint, $"more {number}", ("TTL", "60"));
        }
        await using (var stream = await DeviceStream.OpenAsync(ada, $"{subscription.Messages}?urgency=normal"))
        {
            Assert.Equal(["more 1", "more 2", "more 3"], [TextOf(await stream.NextAsync()), TextOf(await stream.NextAsync()), TextOf(await stream.NextAsync())]);
        }
    }

    [Theory]
    [InlineData(400, "TTL", null)]
    [InlineData(400, "TTL", "soon")]
    [InlineData(400, "Topic", "a topic that is no base64url")]
    [InlineData(400, "Topic", "abcdefghijklmnopqrstuvwxyz0123456789")]
    [InlineData(400, "Urgency", "now")]
    [InlineData(415, "Content-Encoding", "aesgcm")]
    public async Task What_is_no_push_of_the_standard_is_refused(int status, string header, string? value)
    {
        using var ada = _service.ClientOf("ada");
        var subscription = await SubscribeAsync(ada, null);
        var headers = new Dictionary<string, string> { ["TTL"] = "60" };
        headers.Remove(header);
        if (value is not null)
        {
            headers[header] = value;
        }

        await (await PushAsync(subscription.Endpoint, "body", [.. headers.Select(one => (one.Key, one.Value))])).ProblemAsync(status);
    }

    [Fact]
    public async Task A_stream_is_for_its_user_and_another_has_none()
    {
        using var ada = _service.ClientOf("ada");
        using var eve = _service.ClientOf("eve");
        var subscription = await SubscribeAsync(ada, null);

        await (await eve.GetAsync(subscription.Messages)).ProblemAsync(404);
        await eve.DeleteAsync($"/push/own/subscriptions/{subscription.Id}");
        await using var stream = await DeviceStream.OpenAsync(ada, subscription.Messages);
        await PushAsync(subscription.Endpoint, "still there", ("TTL", "60"));
        Assert.Equal("still there", TextOf(await stream.NextAsync()));
    }

    [Fact]
    public async Task A_message_of_ours_reaches_a_device_without_any_vendor()
    {
        var app = _service.NewApp();
        using var ada = _service.ClientOf("ada");
        var subscription = await SubscribeAsync(ada, null);
        var device = Guid.NewGuid();
        using (var answer = await ada.PutAsJsonAsync($"/push/registrations/{device}", new
        {
            appId = app,
            network = "own",
            address = subscription.Endpoint,
            platform = "linux",
            appVersion = "1.0.0",
            locale = "en",
            timeZone = "UTC",
        }))
        {
            Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        }
        await using var stream = await DeviceStream.OpenAsync(ada, subscription.Messages);

        var message = await _service.SendAsync(new { app, audience = "all", content = new { title = "Hello", body = "There" } });

        var got = JsonDocument.Parse(TextOf(await stream.NextAsync())).RootElement;
        Assert.Equal((message, "Hello"), (got.GetProperty("id").GetGuid(), got.Text("title")));
        Assert.Equal(1, (await _service.CompletedAsync(message))["accepted"]);

        await ada.DeleteAsync($"/push/own/subscriptions/{subscription.Id}");
        Assert.Equal(1, (await _service.CompletedAsync(await _service.SendAsync(new { app, audience = "all", content = new { title = "Gone" } })))["dead"]);
    }

    private static string TextOf(JsonElement message) => System.Text.Encoding.UTF8.GetString(Base64Url.DecodeFromChars(message.Text("body")));

    private static (object Vapid, string PublicKey) NewSender()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var parameters = key.ExportParameters(includePrivateParameters: true);
        var point = Base64Url.EncodeToString([4, .. parameters.Q.X!, .. parameters.Q.Y!]);
        return (new { publicKey = point, privateKey = Base64Url.EncodeToString(parameters.D!) }, point);
    }

    private static async Task<(string Id, string Endpoint, string Messages)> SubscribeAsync(HttpClient http, string? key)
    {
        using var answer = await http.PostAsJsonAsync("/push/own/subscriptions", new { applicationServerKey = key });
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal($"<{body.Text("endpoint")}>; rel=\"urn:ietf:params:push\"", Assert.Single(answer.Headers.GetValues("Link")));
        return (body.Text("id"), body.Text("endpoint"), body.Text("messages"));
    }

    private async Task<HttpResponseMessage> PushAsync(string endpoint, string body, params (string Name, string Value)[] headers)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_service.One.Address, new Uri(endpoint).PathAndQuery)) { Content = new StringContent(body) };
        foreach (var (name, value) in headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, value))
            {
                request.Content.Headers.TryAddWithoutValidation(name, value);
            }
        }
        return await http.SendAsync(request);
    }

    private async Task<JsonElement> WebPushAsync(string endpoint, object keys, object? vapid, string payload, object options)
    {
        using var process = Process.Start(new ProcessStartInfo("node", ["web-push.mjs", JsonSerializer.Serialize(new { endpoint, keys, vapid, payload, options })])
        {
            WorkingDirectory = NpmClients.Folder(),
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["NODE_EXTRA_CA_CERTS"] = _front.CertificateFile },
        })!;
        var (code, output, error) = await process.EndAsync();
        Assert.True(code is 0, error);
        return JsonDocument.Parse(output).RootElement;
    }

    /// <summary>What stands before services: TLS, which npm's web-push insists on.</summary>
    private sealed class TlsFront : IAsyncDisposable
    {
        private readonly WebApplication _app;
        private readonly HttpClient _client = new(new SocketsHttpHandler { AllowAutoRedirect = false });
        private readonly System.Security.Cryptography.X509Certificates.X509Certificate2 _certificate = FakeNetwork.SelfSigned();

        private TlsFront()
        {
            var builder = WebApplication.CreateBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(_certificate)));
            _app = builder.Build();
            _app.Run(ForwardAsync);
        }

        public string Address { get; private set; } = "";

        public string CertificateFile { get; } = Path.GetTempFileName();

        public Uri? Target { get; set; }

        public static async Task<TlsFront> StartAsync()
        {
            var front = new TlsFront();
            await File.WriteAllTextAsync(front.CertificateFile, front._certificate.ExportCertificatePem());
            await front._app.StartAsync();
            front.Address = $"https://localhost:{new Uri(front._app.Urls.First()).Port}";
            return front;
        }

        public async ValueTask DisposeAsync()
        {
            await _app.DisposeAsync();
            _client.Dispose();
            _certificate.Dispose();
            File.Delete(CertificateFile);
        }

        private async Task ForwardAsync(HttpContext http)
        {
            using var request = new HttpRequestMessage(new(http.Request.Method), new Uri(Target!, http.Request.Path)) { Content = new StreamContent(http.Request.Body) };
            foreach (var (name, value) in http.Request.Headers.Where(header => header.Key is not "Host"))
            {
                if (!request.Headers.TryAddWithoutValidation(name, (string?)value))
                {
                    request.Content.Headers.TryAddWithoutValidation(name, (string?)value);
                }
            }
            using var answer = await _client.SendAsync(request);
            http.Response.StatusCode = (int)answer.StatusCode;
            foreach (var (name, values) in answer.Headers.Where(header => header.Key is not "Transfer-Encoding"))
            {
                http.Response.Headers[name] = string.Join(',', values);
            }
            await answer.Content.CopyToAsync(http.Response.Body);
        }
    }
}

/// <summary>A device's stream, as a client without any library reads it.</summary>
internal sealed class DeviceStream(HttpResponseMessage answer, StreamReader reader) : IAsyncDisposable
{
    public static async Task<DeviceStream> OpenAsync(HttpClient http, string path)
    {
        var answer = await http.GetAsync(path, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType?.MediaType);
        return new(answer, new(await answer.Content.ReadAsStreamAsync()));
    }

    public async Task<JsonElement> NextAsync()
    {
        using var patience = new CancellationTokenSource(PushService.Patience);
        while (await reader.ReadLineAsync(patience.Token) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                return JsonDocument.Parse(line[6..]).RootElement;
            }
        }
        throw new InvalidOperationException("The stream has ended.");
    }

    public ValueTask DisposeAsync()
    {
        reader.Dispose();
        answer.Dispose();
        return ValueTask.CompletedTask;
    }
}
