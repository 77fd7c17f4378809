using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Options;

namespace IntegrationServices.Connectors;

/// <summary>Sends what a system wants to see of us with every call: an API key, a name and password, or an access token.</summary>
internal sealed class Credentials(ConnectorOptions options, AccessTokens tokens) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (options.ApiKey is { } key)
        {
            request.Headers.Remove(options.ApiKeyHeader);
            request.Headers.TryAddWithoutValidation(options.ApiKeyHeader, key);
        }
        else if (options.UserName is { } name)
        {
            request.Headers.Authorization = new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{name}:{options.Password}")));
        }
        else if (options.TokenAddress is not null)
        {
            return await SendWithTokenAsync(request, cancellationToken);
        }
        return await base.SendAsync(request, cancellationToken);
    }

    private async Task<HttpResponseMessage> SendWithTokenAsync(HttpRequestMessage request, CancellationToken ct)
    {
        var token = await tokens.GetAsync(ct);
        request.Headers.Authorization = new("Bearer", token);
        var response = await base.SendAsync(request, ct);
        if (response.StatusCode is not HttpStatusCode.Unauthorized)
        {
            return response;
        }
        // It was withdrawn before its time.
        response.Dispose();
        tokens.Forget(token);
        request.Headers.Authorization = new("Bearer", await tokens.GetAsync(ct));
        return await base.SendAsync(request, ct);
    }
}

/// <summary>A system's access token (RFC 6749, client credentials), fetched when needed and kept until shortly before it expires.</summary>
internal sealed class AccessTokens(string system, ConnectorOptions options, IHttpClientFactory http, TimeProvider time) : IDisposable
{
    /// <summary>Unless the answer says how long a token is good for.</summary>
    private static readonly TimeSpan Unsaid = TimeSpan.FromMinutes(1);

    private readonly SemaphoreSlim _fetching = new(1, 1);
    private Token? _kept;

    /// <exception cref="BackendException">The authorization server gives none.</exception>
    public async ValueTask<string> GetAsync(CancellationToken ct)
    {
        if (Good() is { } token)
        {
            return token;
        }
        await _fetching.WaitAsync(ct);
        try
        {
            return Good() ?? (_kept = await FetchAsync(ct)).Text;
        }
        finally
        {
            _fetching.Release();
        }
    }

    public void Forget(string token)
    {
        if (_kept is { } kept && kept.Text == token)
        {
            Interlocked.CompareExchange(ref _kept, null, kept);
        }
    }

    public void Dispose() => _fetching.Dispose();

    private string? Good() => _kept is { } kept && kept.Until > time.GetUtcNow() ? kept.Text : null;

    private async Task<Token> FetchAsync(CancellationToken ct)
    {
        var form = new Dictionary<string, string> { ["grant_type"] = "client_credentials" };
        if (options.Scope is { Length: > 0 } scope)
        {
            form["scope"] = scope;
        }
        var login = $"{Uri.EscapeDataString(options.ClientId ?? "")}:{Uri.EscapeDataString(options.ClientSecret ?? "")}";
        using var request = new HttpRequestMessage(HttpMethod.Post, options.TokenAddress)
        {
            Content = new FormUrlEncodedContent(form),
            Headers = { Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.ASCII.GetBytes(login))) },
        };
        using var client = http.CreateClient(ClientName(system));
        using var response = await client.SendAsync(request, ct);
        if (!response.IsSuccessStatusCode)
        {
            throw new BackendException(
                system, StatusCodes.Status502BadGateway, $"cannot be called: {request.RequestUri!.Host} gives us no access token ({(int)response.StatusCode})", TimeSpan.FromSeconds(10));
        }
        var answer = await response.Content.ReadFromJsonAsync<TokenAnswer>(ct);
        if (answer?.AccessToken is not { Length: > 0 } text)
        {
            throw BackendException.Misunderstood(system, $"cannot be called: {request.RequestUri!.Host} answered no access token");
        }
        var life = answer.ExpiresIn is { } seconds ? TimeSpan.FromSeconds(seconds) : Unsaid;
        // A call that begins with it must end before it does.
        var early = TimeSpan.FromTicks(Math.Min(life.Ticks / 5, TimeSpan.FromSeconds(options.TimeoutSeconds + 10).Ticks));
        return new(text, time.GetUtcNow() + life - early);
    }

    public static string ClientName(string system) => $"{system}-tokens";

    private sealed record Token(string Text, DateTimeOffset Until);

    private sealed record TokenAnswer(
        [property: JsonPropertyName("access_token")] string? AccessToken, [property: JsonPropertyName("expires_in")] double? ExpiresIn);
}

internal static class CredentialsExtensions
{
    /// <summary>The credentials that the system's options name, innermost, so that each attempt has them; with mutual TLS the connection has one itself.</summary>
    public static void AddCredentials(this IHttpClientBuilder client, IHostApplicationBuilder builder, string system)
    {
        builder.Services.AddHttpClient(AccessTokens.ClientName(system));
        builder.Services.AddKeyedSingleton(system, (services, _) => new AccessTokens(
            system,
            services.GetRequiredService<IOptionsMonitor<ConnectorOptions>>().For(system),
            services.GetRequiredService<IHttpClientFactory>(),
            services.GetService<TimeProvider>() ?? TimeProvider.System));
        client.AddHttpMessageHandler(services => new Credentials(
            services.GetRequiredService<IOptionsMonitor<ConnectorOptions>>().For(system), services.GetRequiredKeyedService<AccessTokens>(system)));
        client.ConfigurePrimaryHttpMessageHandler(services =>
        {
            var options = services.GetRequiredService<IOptionsMonitor<ConnectorOptions>>().For(system);
            return new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(2), UseCookies = false, SslOptions = Tls(options) };
        });
    }

    private static SslClientAuthenticationOptions Tls(ConnectorOptions options)
    {
        var tls = new SslClientAuthenticationOptions();
        if (options.ClientCertificate is { } certificate)
        {
            tls.ClientCertificates = [X509Certificate2.CreateFromPemFile(certificate, options.ClientKey)];
        }
        if (options.CertificateAuthority is { } authority)
        {
            tls.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                CustomTrustStore = { X509CertificateLoader.LoadCertificateFromFile(authority) },
            };
        }
        return tls;
    }
}
