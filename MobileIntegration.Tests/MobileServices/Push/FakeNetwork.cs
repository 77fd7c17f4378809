using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>One request that reached a fake, in the order of arrival.</summary>
internal sealed record Pushed(string Path, string Address, string Protocol, IReadOnlyDictionary<string, string> Headers, byte[] Body, long At);

/// <summary>
/// A network outside, over HTTP/2 with and without TLS: writes every request down before it answers, and answers as its script for the address says. What is
/// written down is what a device would have got when the answer is a success.
/// </summary>
internal sealed class FakeNetwork : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, Func<HttpContext, int, Task>> _scripts = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int> _counts = new(StringComparer.Ordinal);
    private readonly Func<HttpContext, Task> _success;

    private FakeNetwork(Func<HttpContext, Task> success)
    {
        _success = success;
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        Certificate = SelfSigned();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.UseHttps(Certificate));
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
        });
        _app = builder.Build();
        _app.Run(AnswerAsync);
    }

    public ConcurrentQueue<Pushed> Journal { get; } = new();

    public X509Certificate2 Certificate { get; }

    /// <summary>HTTP/2 without TLS.</summary>
    public string Address { get; private set; } = "";

    public int TlsPort { get; private set; }

    /// <summary>HTTP/1.1.</summary>
    public string PlainAddress { get; private set; } = "";

    /// <summary>How long an answer takes.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>What is answered to addresses without a script of their own.</summary>
    public Func<HttpContext, int, Task>? Otherwise { get; set; }

    /// <summary>RFC 8030: 201 and a Location.</summary>
    public static Task<FakeNetwork> WebPushAsync() => StartAsync(http =>
    {
        http.Response.StatusCode = StatusCodes.Status201Created;
        http.Response.Headers.Location = $"https://push.example/m/{Guid.NewGuid():N}";
        return Task.CompletedTask;
    });

    /// <summary>Also the token endpoint, at /token.</summary>
    public static Task<FakeNetwork> FcmAsync() => StartAsync(http => http.Request.Path == "/token"
        ? http.Response.WriteAsJsonAsync(new { access_token = $"ya29.{Guid.NewGuid():N}", expires_in = 3599, token_type = "Bearer" })
        : http.Response.WriteAsJsonAsync(new { name = $"projects/shop/messages/{Guid.NewGuid():N}" }));

    public static Task<FakeNetwork> ApnsAsync() => StartAsync(http =>
    {
        http.Response.Headers["apns-id"] = http.Request.Headers.TryGetValue("apns-id", out var id) ? id.ToString() : Guid.NewGuid().ToString();
        return Task.CompletedTask;
    });

    public int Count(string address) => Journal.Count(pushed => pushed.Address == address);

    /// <param name="answer">Given the request and its number at that address, from 1; null for success.</param>
    public void Script(string address, Func<HttpContext, int, Task> answer) => _scripts[address] = answer;

    public void Script(string address, int status, object? body = null, params (string Name, string Value)[] headers) => Script(address, Answer(status, body, headers));

    public static Func<HttpContext, int, Task> Answer(int status, object? body = null, params (string Name, string Value)[] headers) => (http, _) =>
    {
        http.Response.StatusCode = status;
        foreach (var (name, value) in headers)
        {
            http.Response.Headers[name] = value;
        }
        return body is null ? Task.CompletedTask : http.Response.WriteAsJsonAsync(body);
    };

    /// <summary>The first answers are those, the others successes.</summary>
    public void ScriptFirst(string address, int times, Func<HttpContext, int, Task> answer) =>
        Script(address, (http, number) => number <= times ? answer(http, number) : _success(http));

    public Task SucceedAsync(HttpContext http) => _success(http);

    public void Forget(string address) => _scripts.TryRemove(address, out _);

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.Zero);
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
        Certificate.Dispose();
    }

    private static async Task<FakeNetwork> StartAsync(Func<HttpContext, Task> success)
    {
        var fake = new FakeNetwork(success);
        await fake._app.StartAsync();
        var ports = fake._app.Urls.Select(url => new Uri(url).Port).ToList();
        fake.Address = $"http://127.0.0.1:{ports[0]}";
        fake.TlsPort = ports[1];
        fake.PlainAddress = $"http://127.0.0.1:{ports[2]}";
        return fake;
    }

    private async Task AnswerAsync(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        var address = AddressOf(http.Request.Path, body.ToArray());
        var number = _counts.AddOrUpdate(address, 1, (_, count) => count + 1);
        Journal.Enqueue(new(
            http.Request.Path, address, http.Request.Protocol, http.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase),
            body.ToArray(), TimeProvider.System.GetTimestamp()));
        http.Items["body"] = body.ToArray();
        if (Delay > TimeSpan.Zero)
        {
            await Task.Delay(Delay);
        }
        if (_scripts.TryGetValue(address, out var script))
        {
            await script(http, number);
        }
        else if (Otherwise is { } otherwise && http.Request.Path != "/token")
        {
            await otherwise(http, number);
        }
        else
        {
            await _success(http);
        }
    }

    /// <summary>FCM's is in the body, that of others the end of the path.</summary>
    private static string AddressOf(string path, byte[] body)
    {
        if (!path.EndsWith("messages:send", StringComparison.Ordinal))
        {
            return path.Split('/')[^1];
        }
        using var json = System.Text.Json.JsonDocument.Parse(body);
        var message = json.RootElement.GetProperty("message");
        return message.TryGetProperty("token", out var token) ? token.GetString()! : message.GetProperty("topic").GetString()!;
    }

    public static X509Certificate2 SelfSigned()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(System.Net.IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(30));
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
    }
}
