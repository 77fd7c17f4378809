using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.RegularExpressions;
using Gateway;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.Tests.Gateway;

/// <summary>Headers of security, other origins, the id of a request, and the line that is written for it.</summary>
public sealed class EdgeTests : IAsyncLifetime
{
    private const string Page = "https://shop.example";

    private Upstream _service = null!;
    private (string Key, string Value) _database;
    private TestService<DiscoveredDestinations> _gateway = null!;

    public async Task InitializeAsync()
    {
        _service = await Upstream.StartAsync(context =>
        {
            context.Response.Headers.Server = "inside/1.0";
            context.Response.Headers["X-Powered-By"] = "inside";
            context.Response.ContentLength = context.Request.Path.Value!.Contains("/orders/", StringComparison.Ordinal) ? 6 : null;
            return context.Request.Path.Value!.EndsWith("/refused", StringComparison.Ordinal)
                ? Results.Problem("No.", statusCode: 409).ExecuteAsync(context)
                : context.Response.WriteAsync("answer");
        });
        _database = ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync());
        _gateway = Start();
    }

    public async Task DisposeAsync()
    {
        await _gateway.DisposeAsync();
        await _service.DisposeAsync();
    }

    [Theory]
    [InlineData("/api/home", 200)]
    [InlineData("/api/home/refused", 409)]
    [InlineData("/nothing", 404)]
    [InlineData("/api/home/..%2f", 400)]
    public async Task Every_answer_has_its_security_headers_and_does_not_say_which_server_gave_it(string path, int status)
    {
        using var response = await _gateway.Http.GetAsync(path);
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.Equal("no-referrer", response.Headers.GetValues("Referrer-Policy").Single());
        Assert.False(response.Headers.Contains("Server"));
        Assert.False(response.Headers.Contains("X-Powered-By"));
        Assert.False(response.Headers.Contains("Strict-Transport-Security"));
        Assert.Equal(status >= 400, response.Headers.CacheControl?.NoStore is true);
    }

    [Theory]
    [InlineData("order-42.A_b~1")]
    [InlineData("7d0f9a52-4c0e-4a39-9b1e-2f6a3c0b5d11")]
    public async Task The_callers_request_id_is_kept_to_the_service_and_back(string id)
    {
        using var response = await SendAsync(_gateway, "/api/home", ("X-Request-Id", id));
        Assert.Equal((id, id), (response.Headers.GetValues("X-Request-Id").Single(), _service.Journal.Last().Headers["X-Request-Id"]));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("has space")]
    [InlineData("<script>")]
    [InlineData("a,b")]
    [InlineData("long")]
    public async Task Without_an_id_or_with_one_that_could_do_harm_the_gateway_makes_one(string? id)
    {
        id = id is "long" ? new string('a', 129) : id;
        using var response = await SendAsync(_gateway, "/nothing", id is null ? [] : [("X-Request-Id", id)]);
        var made = response.Headers.GetValues("X-Request-Id").Single();
        Assert.Matches("^[0-9a-f]{32}$", made);
        Assert.Equal(made, (await response.ProblemAsync(404)).GetProperty("requestId").GetString());
    }

    [Fact]
    public async Task A_call_is_one_line_that_tells_what_it_was_and_none_of_its_secrets()
    {
        var lines = new Lines();
        _gateway.Services.GetRequiredService<ILoggerFactory>().AddProvider(lines);
        var token = TestAuthority.Shared.Token("home", token => token.Claims["client_id"] = "shop-app");
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/home/orders/4711?card=4111111111111111") { Content = new StringContent("body-secret") };
        request.Headers.Authorization = new("Bearer", token);
        request.Headers.Add("Idempotency-Key", "key-secret");
        request.Headers.Add("X-Request-Id", "order-4711");
        request.Headers.Add("X-App-Id", "com.example.shop");
        request.Headers.Add("X-App-Version", "1.4.2");
        using var client = new HttpClient { BaseAddress = _gateway.Address };
        (await client.SendAsync(request)).EnsureSuccessStatusCode();

        await Eventually.TrueAsync(() => lines.All.Any(line => line.Contains("order-4711", StringComparison.Ordinal)), TimeSpan.FromSeconds(15));
        var line = Assert.Single(lines.All, line => line.Contains("order-4711", StringComparison.Ordinal));
        Assert.Matches(new Regex(@"^POST /api/home/\{\*\*rest\} 200 6 bytes \d+\.\d ms client shop-app app com\.example\.shop 1\.4\.2 request order-4711$"), line);
        foreach (var secret in (string[])["4111", "key-secret", "body-secret", token, "ada"])
        {
            Assert.DoesNotContain(lines.All, one => one.Contains(secret, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task A_page_of_a_named_origin_may_call_and_its_preflight_needs_no_token_and_reaches_no_service()
    {
        await using var gateway = Start(("Cors:Origins:0", Page), ("Cors:Credentials", "true"));
        using var preflight = await PreflightAsync(gateway, Page);
        Assert.Equal(HttpStatusCode.NoContent, preflight.StatusCode);
        Assert.Equal((Page, "true"), (Allowed(preflight), preflight.Headers.GetValues("Access-Control-Allow-Credentials").Single()));
        Assert.Contains("PUT", preflight.Headers.GetValues("Access-Control-Allow-Methods").Single(), StringComparison.Ordinal);
        Assert.Equal("authorization,x-app-id", preflight.Headers.GetValues("Access-Control-Allow-Headers").Single());
        Assert.Empty(_service.Journal);

        using var call = await SendAsync(gateway, "/api/home", ("Origin", Page));
        Assert.Equal((HttpStatusCode.OK, Page), (call.StatusCode, Allowed(call)));
        Assert.Contains("X-Request-Id", call.Headers.GetValues("Access-Control-Expose-Headers").Single(), StringComparison.Ordinal);
        using var refused = await SendAsync(gateway, "/nothing", ("Origin", Page));
        Assert.Equal((HttpStatusCode.NotFound, Page), (refused.StatusCode, Allowed(refused)));
    }

    [Fact]
    public async Task A_page_of_another_origin_may_not_and_without_origins_no_page_may()
    {
        await using var gateway = Start(("Cors:Origins:0", Page));
        using var other = await PreflightAsync(gateway, "https://evil.example");
        Assert.Null(Allowed(other));
        Assert.Null(Allowed(await SendAsync(gateway, "/api/home", ("Origin", "https://evil.example"))));
        using var off = await PreflightAsync(_gateway, Page);
        await off.ProblemAsync(401);
        Assert.Null(Allowed(off));
    }

    [Fact]
    public async Task Over_TLS_a_client_is_told_to_stay_there()
    {
        var address = new Uri($"https://127.0.0.1:{TestServices.FreePort()}");
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=gateway.example", key, HashAlgorithmName.SHA256)
            .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var file = Path.GetTempFileName();
        await File.WriteAllBytesAsync(file, certificate.Export(X509ContentType.Pfx));
        using var process = TestServices.StartProcess(
            "Gateway", ("ASPNETCORE_URLS", $"{address}"), ("Kestrel__Certificates__Default__Path", file), ("ConnectionStrings__mobiledb", _database.Value));
        try
        {
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            using var handler = new HttpClientHandler { ServerCertificateCustomValidationCallback = (_, sent, _, _) => sent?.Thumbprint == certificate.Thumbprint };
            using var client = new HttpClient(handler) { BaseAddress = address };
            client.DefaultRequestHeaders.Host = "gateway.example";
            await Eventually.TrueAsync(async () =>
            {
                try
                {
                    using var answer = await client.GetAsync("/nothing");
                    Assert.Equal("max-age=31536000", answer.Headers.GetValues("Strict-Transport-Security").Single());
                    return true;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            }, TimeSpan.FromSeconds(60));
        }
        finally
        {
            process.Kill();
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("Cors__Origins__0", "https://shop.example/", "Cors:Origins holds 'https://shop.example/'. An origin is")]
    [InlineData("Cors__Origins__0", "shop.example", "Cors:Origins holds 'shop.example'. An origin is")]
    [InlineData("Edge__HeaderBytes", "5000", "Edge:HeaderLineBytes must not be more than Edge:HeaderBytes.")]
    [InlineData("Edge__UrlBytes", "1", "Edge:UrlBytes must be from 1024 to 65536.")]
    [InlineData("Upstream__RetryPercent", "51", "Upstream:RetryPercent must be from 0 to 50.")]
    [InlineData("Upstream__ProbeSeconds", "0", "Upstream:ProbeSeconds must be from 1 to 300.")]
    [InlineData("ResponseCache__BodyBytes", "1", "ResponseCache:BodyBytes must be from 1024 to 16777216.")]
    public async Task A_wrong_setting_stops_the_start_and_says_the_mend(string name, string value, string message)
    {
        var (exitCode, _, error) = await TestServices.RunToEndAsync("Gateway", ("ConnectionStrings__mobiledb", _database.Value), (name, value));
        Assert.Equal(1, exitCode);
        Assert.Contains(message, error, StringComparison.Ordinal);
    }

    private TestService<DiscoveredDestinations> Start(params (string, string)[] settings) =>
        new([_database, TestServices.At("home", _service.Address), .. settings]);

    private static async Task<HttpResponseMessage> SendAsync(
        TestService<DiscoveredDestinations> gateway, string path, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        return await gateway.Http.SendAsync(request);
    }

    private static async Task<HttpResponseMessage> PreflightAsync(TestService<DiscoveredDestinations> gateway, string origin)
    {
        using var client = new HttpClient { BaseAddress = gateway.Address };
        using var request = new HttpRequestMessage(HttpMethod.Options, "/api/home/orders");
        request.Headers.Add("Origin", origin);
        request.Headers.Add("Access-Control-Request-Method", "PUT");
        request.Headers.Add("Access-Control-Request-Headers", "authorization,x-app-id");
        return await client.SendAsync(request);
    }

    private static string? Allowed(HttpResponseMessage response) =>
        response.Headers.TryGetValues("Access-Control-Allow-Origin", out var origins) ? origins.Single() : null;

    /// <summary>What the gateway writes to its log.</summary>
    private sealed class Lines : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> All { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            All.Enqueue(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
