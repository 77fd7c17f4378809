using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;

namespace MobileServices.Sync.Bound;

/// <summary>The service's own access token, fetched when it is needed and kept until shortly before it expires.</summary>
internal sealed class ServiceTokens(IHttpClientFactory http, IOptions<SyncOptions> options, TimeProvider time) : IDisposable
{
    public const string Client = "sync-tokens";

    /// <summary>A call that begins with a token must end before the token does.</summary>
    private static readonly TimeSpan Early = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim _fetching = new(1, 1);
    private Token? _kept;

    public async ValueTask<string> GetAsync(CancellationToken ct)
    {
        if (_kept is { } kept && kept.Until > time.GetUtcNow())
        {
            return kept.Text;
        }
        await _fetching.WaitAsync(ct);
        try
        {
            return _kept is { } other && other.Until > time.GetUtcNow() ? other.Text : (_kept = await FetchAsync(ct)).Text;
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

    private async Task<Token> FetchAsync(CancellationToken ct)
    {
        var settings = options.Value.Integration;
        var login = $"{Uri.EscapeDataString(settings.ClientId!)}:{Uri.EscapeDataString(settings.ClientSecret!)}";
        using var request = new HttpRequestMessage(HttpMethod.Post, settings.TokenAddress)
        {
            Content = new FormUrlEncodedContent([new("grant_type", "client_credentials"), new("scope", $"{Scopes.Orders} {Scopes.Customers}")]),
            Headers = { Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.ASCII.GetBytes(login))) },
        };
        using var client = http.CreateClient(Client);
        using var response = await client.SendAsync(request, ct);
        if (!response.IsSuccessStatusCode)
        {
            throw new HttpRequestException($"{settings.TokenAddress} gives the client {settings.ClientId} no access token ({(int)response.StatusCode}); see Sync:Integration.");
        }
        var answer = await response.Content.ReadFromJsonAsync<TokenAnswer>(ct);
        if (answer?.AccessToken is not { Length: > 0 } text)
        {
            throw new HttpRequestException($"{settings.TokenAddress} answered no access token.");
        }
        return new(text, time.GetUtcNow() + TimeSpan.FromSeconds(answer.ExpiresIn ?? 60) - Early);
    }

    private sealed record Token(string Text, DateTimeOffset Until);

    private sealed record TokenAnswer([property: JsonPropertyName("access_token")] string? AccessToken, [property: JsonPropertyName("expires_in")] double? ExpiresIn);
}

/// <summary>Sends the service's own token.</summary>
internal sealed class ServiceTokenHandler(ServiceTokens tokens) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var token = await tokens.GetAsync(cancellationToken);
        request.Headers.Authorization = new("Bearer", token);
        var response = await base.SendAsync(request, cancellationToken);
        if (response.StatusCode is HttpStatusCode.Unauthorized)
        {
            tokens.Forget(token);
        }
        return response;
    }
}
