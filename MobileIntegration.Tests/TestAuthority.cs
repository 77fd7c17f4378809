using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests;

/// <summary>An external authority: discovery, keys, and tokens signed by them, with the other claims and headers that a test asks for.</summary>
internal sealed class TestAuthority : IAsyncDisposable
{
    /// <summary>Ways in which a token can be wrong, for <see cref="WrongToken"/>.</summary>
    public static readonly TheoryData<string> WrongTokens =
    [
        "expired", "not yet valid", "another audience", "another issuer", "an ID token", "alg none", "HS256 with the public key", "RS256",
        "another key of the same name", "changed claims", "no signature", "no token at all",
    ];

    private static readonly Lazy<TestAuthority> TheShared = new(() => Task.Run(StartAsync).GetAwaiter().GetResult());
    private readonly WebApplication _app;
    private readonly ECDsaSecurityKey _key = new(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = "test" };

    private bool _withdrawn;

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
        _app.MapPost("/token", (HttpContext http) => http.Request.Headers.Authorization == $"Basic {Convert.ToBase64String(Encoding.ASCII.GetBytes($"service:{Secret}"))}"
            ? Results.Json(new { access_token = Token(http.Request.Form["scope"].ToString(), token => (token.Claims["sub"], token.Claims["client_id"]) = ("service", "service")), expires_in = 600 })
            : Results.Json(new { error = "invalid_client" }, statusCode: 401));
        _app.MapGet("/keys", () => _withdrawn ? Results.Json(new { keys = Array.Empty<object>() }) : Results.Json(keys));
    }

    /// <summary>Of the client <c>service</c>, which gets tokens of its own at <c>/token</c>.</summary>
    public const string Secret = "the-secret-of-a-client-in-tests";

    /// <summary>The one of all services that a test starts without naming another.</summary>
    public static TestAuthority Shared => TheShared.Value;

    /// <summary>A token of <see cref="Shared"/> for a back-office client that may do everything apps may.</summary>
    public static string AllScopes => Shared.Token(
        $"{Scopes.Home} {Scopes.Catalog} {Scopes.Orders} {Scopes.Account} {Scopes.Devices} {Scopes.Sync} {Scopes.SyncAdmin} {Scopes.DevicesAdmin} {Scopes.ConfigurationAdmin} {Scopes.Push} {Scopes.PushSend} {Scopes.Analytics} {Scopes.AnalyticsAdmin} {Scopes.GatewayAdmin} {Scopes.IntegrationAdmin} {Scopes.Customers}");

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
    public static TestAuthority Down(string? address = null) => new(address ?? Unstarted());

    /// <summary>From now on its key is no longer among its keys.</summary>
    public void WithdrawKey() => _withdrawn = true;

    public Task BeginAsync() => _app.StartAsync();

    /// <summary>From now on it is away; its tokens can still be had.</summary>
    public Task EndAsync() => _app.StopAsync();

    public string Token(string scope, Action<SecurityTokenDescriptor>? change = null)
    {
        var descriptor = new SecurityTokenDescriptor
        {
            Issuer = Address,
            Audience = "mobile-integration",
            Claims = new Dictionary<string, object> { ["sub"] = "ada", ["scope"] = scope },
            NotBefore = DateTime.UtcNow.AddHours(-2),
            Expires = DateTime.UtcNow.AddHours(2),
            TokenType = "at+jwt",
            SigningCredentials = new(_key, SecurityAlgorithms.EcdsaSha256),
        };
        change?.Invoke(descriptor);
        return new JsonWebTokenHandler().CreateToken(descriptor);
    }

    /// <summary>A token of a customer who logged in with an app.</summary>
    public string CustomerToken(string customer, string scope) => Token(scope, token => token.Claims["customer"] = customer);

    /// <summary>A token with that scope that is wrong in one of the <see cref="WrongTokens"/>.</summary>
    public string WrongToken(string kind, string scope)
    {
        switch (kind)
        {
            case "expired": return Token(scope, token => token.Expires = DateTime.UtcNow.AddMinutes(-1));
            case "not yet valid": return Token(scope, token => token.NotBefore = DateTime.UtcNow.AddMinutes(5));
            case "another audience": return Token(scope, token => token.Audience = "somebody-else");
            case "another issuer": return Token(scope, token => token.Issuer = "https://evil.example");
            case "an ID token": return Token(scope, token => token.TokenType = "JWT");
            case "HS256 with the public key":
                var secret = new SymmetricSecurityKey(Encoding.UTF8.GetBytes(X)) { KeyId = "test" };
                return Token(scope, token => token.SigningCredentials = new(secret, SecurityAlgorithms.HmacSha256));
            case "RS256":
                var rsa = new RsaSecurityKey(RSA.Create(2048)) { KeyId = "test" };
                return Token(scope, token => token.SigningCredentials = new(rsa, SecurityAlgorithms.RsaSha256));
            case "another key of the same name":
                var other = new ECDsaSecurityKey(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = "test" };
                return Token(scope, token => token.SigningCredentials = new(other, SecurityAlgorithms.EcdsaSha256));
            case "no token at all": return "letmein";
        }
        var parts = Token("none").Split('.');
        var right = Token(scope).Split('.');
        return kind switch
        {
            "alg none" => $"{Base64UrlEncoder.Encode("{\"alg\":\"none\",\"typ\":\"at+jwt\"}")}.{right[1]}.",
            "changed claims" => $"{parts[0]}.{right[1]}.{parts[2]}",
            "no signature" => $"{right[0]}.{right[1]}.",
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, null),
        };
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _key.ECDsa.Dispose();
    }

    private static string Unstarted() => $"http://127.0.0.1:{TestServices.FreePort()}";
}
