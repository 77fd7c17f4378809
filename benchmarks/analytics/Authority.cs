using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

/// <summary>Signs the one access token that the queries need, and publishes its key.</summary>
internal sealed class Authority : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    private Authority(string address)
    {
        Address = address;
        var point = _key.ExportParameters(includePrivateParameters: false).Q;
        var builder = WebApplication.CreateSlimBuilder([$"--urls={address}"]);
        builder.Logging.ClearProviders();
        _app = builder.Build();
        _app.MapGet("/.well-known/openid-configuration", () => new Dictionary<string, string> { ["issuer"] = address, ["jwks_uri"] = $"{address}/keys" });
        _app.MapGet("/keys", () => new { keys = new[] { new { kty = "EC", crv = "P-256", use = "sig", alg = "ES256", kid = "one", x = Base64Url.EncodeToString(point.X), y = Base64Url.EncodeToString(point.Y) } } });
    }

    public string Address { get; }

    public static async Task<Authority> StartAsync(int port)
    {
        var authority = new Authority($"http://127.0.0.1:{port}");
        await authority._app.StartAsync();
        return authority;
    }

    public string Token(string scope)
    {
        var ends = DateTimeOffset.UtcNow.AddHours(2).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        var text = $"{Part("""{"alg":"ES256","typ":"at+jwt","kid":"one"}""")}.{Part($$"""{"iss":"{{Address}}","aud":"mobile-integration","sub":"benchmark","scope":"{{scope}}","exp":{{ends}}}""")}";
        return $"{text}.{Base64Url.EncodeToString(_key.SignData(Encoding.UTF8.GetBytes(text), HashAlgorithmName.SHA256))}";

        static string Part(string json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _key.Dispose();
    }
}
