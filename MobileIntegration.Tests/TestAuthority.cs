using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace MobileIntegration.Tests;

/// <summary>An external authority: discovery, keys, and tokens signed by them, with the other claims and headers that a test asks for.</summary>
internal sealed class TestAuthority : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ECDsaSecurityKey _key = new(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = "test" };

    private TestAuthority(string address)
    {
        Address = address;
        var builder = WebApplication.CreateBuilder([$"--urls={address}"]);
        builder.Logging.ClearProviders();
        _app = builder.Build();
        var point = _key.ECDsa.ExportParameters(includePrivateParameters: false).Q;
        X = Base64UrlEncoder.Encode(point.X);
        var keys = new { keys = new[] { new { kty = "EC", crv = "P-256", use = "sig", alg = "ES256", kid = "test", x = X, y = Base64UrlEncoder.Encode(point.Y) } } };
        _app.MapGet("/.well-known/openid-configuration", () => new Dictionary<string, string> { ["issuer"] = Address, ["jwks_uri"] = $"{Address}/keys" });
        _app.MapGet("/keys", () => Results.Json(keys));
    }

    public string Address { get; }

    /// <summary>Of the public key, which an attacker knows as well.</summary>
    public string X { get; }

    public static async Task<TestAuthority> StartAsync()
    {
        var authority = new TestAuthority(Unstarted());
        await authority.BeginAsync();
        return authority;
    }

    /// <summary>One that is down until <see cref="BeginAsync"/>.</summary>
    public static TestAuthority Down() => new(Unstarted());

    public Task BeginAsync() => _app.StartAsync();

    public string Token(string scope, Action<SecurityTokenDescriptor>? change = null)
    {
        var descriptor = new SecurityTokenDescriptor
        {
            Issuer = Address,
            Audience = "mobile-integration",
            Claims = new Dictionary<string, object> { ["sub"] = "ada", ["scope"] = scope },
            NotBefore = DateTime.UtcNow.AddHours(-2),
            Expires = DateTime.UtcNow.AddMinutes(10),
            TokenType = "at+jwt",
            SigningCredentials = new(_key, SecurityAlgorithms.EcdsaSha256),
        };
        change?.Invoke(descriptor);
        return new JsonWebTokenHandler().CreateToken(descriptor);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _key.ECDsa.Dispose();
    }

    private static string Unstarted() => $"http://127.0.0.1:{TestServices.FreePort()}";
}
