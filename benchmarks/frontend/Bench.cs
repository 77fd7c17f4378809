using System.Security.Cryptography;
using GatewayBenchmark;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace FrontendBenchmark;

/// <summary>The upstream, an authority, and tokens of it.</summary>
internal sealed class Bench : IAsyncDisposable
{
    private static readonly string[] Self = [typeof(Bench).Assembly.Location];
    private readonly List<IAsyncDisposable> _started = [];
    private readonly ECDsaSecurityKey _key = new(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = "benchmark" };
    private readonly string _authority = $"http://127.0.0.1:{Proxy.FreePort()}";

    public Proxy Upstream { get; private set; } = null!;

    public static async Task<Bench> StartAsync()
    {
        var bench = new Bench();
        bench.Upstream = await bench.OwnAsync("upstream", "upstream");
        var app = Servers.Authority(bench._authority, bench._key);
        await app.StartAsync();
        bench.Add(app);
        return bench;
    }

    public void Add(IAsyncDisposable started) => _started.Insert(0, started);

    /// <summary>This executable in another role.</summary>
    public Task<Proxy> OwnAsync(string name, params string[] role) => RunAsync(name, [.. Self, role[0]], role[1..], []);

    /// <summary>One of the system's services, as it runs in production, every request traced.</summary>
    public Task<Proxy> ServiceAsync(string name, string assembly, params (string Key, string Value)[] settings) => RunAsync(
        name, [$"artifacts/bin/{assembly}/release/{assembly}.dll"], [],
        [
            ("Authentication__Authority", _authority), ("DOTNET_ENVIRONMENT", "Production"), ("OTEL_TRACES_SAMPLER", "always_on"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", Upstream.Address), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), .. settings,
        ]);

    public string Token(string customer, int number) => new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
    {
        Issuer = _authority,
        Audience = "mobile-integration",
        Claims = new Dictionary<string, object>
        {
            ["sub"] = $"user-{number}",
            ["scope"] = "openid offline_access home catalog orders",
            ["client_id"] = "com.example.shop",
            ["customer"] = customer,
            ["jti"] = Guid.NewGuid().ToString(),
        },
        Expires = DateTime.UtcNow.AddHours(4),
        TokenType = "at+jwt",
        SigningCredentials = new(_key, SecurityAlgorithms.EcdsaSha256),
    });

    public async ValueTask DisposeAsync()
    {
        foreach (var one in _started)
        {
            await one.DisposeAsync();
        }
    }

    private async Task<Proxy> RunAsync(string name, string[] program, string[] role, (string Key, string Value)[] settings)
    {
        var port = Proxy.FreePort();
        var environment = new Dictionary<string, string>();
        foreach (var (key, value) in settings)
        {
            environment[key] = value;
        }
        environment["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}";
        string[] args = program.Length > 1 ? [.. program, $"{port}", .. role] : program;
        var proxy = await Proxy.StartAsync(name, port, Environment.ProcessPath!, args, environment);
        Add(proxy);
        return proxy;
    }
}
