using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace MobileIntegration.ServiceDefaults.Keys;

/// <summary>The discovery document and the keys to which it leads, word for word.</summary>
internal sealed record AuthorityDocuments(string Discovery, string Keys);

/// <summary>
/// Issuer and keys by which tokens are checked: those that the authority gives, and until it has answered for the first time those that were kept.
/// </summary>
internal sealed class AuthorityConfiguration : BaseConfigurationManager, IConfigurationManager<OpenIdConnectConfiguration>
{
    private readonly ConfigurationManager<OpenIdConnectConfiguration> _authority;
    private readonly TimeProvider _time;
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Held? _held;
    private AuthorityDocuments? _fetched;

    public AuthorityConfiguration(JwtBearerOptions options, TimeProvider time)
    {
        _time = time;
        var http = new HttpDocumentRetriever(options.Backchannel) { RequireHttps = options.RequireHttpsMetadata };
        _authority = new(options.MetadataAddress, new Retriever(this), http)
        {
            RefreshInterval = options.RefreshInterval,
            AutomaticRefreshInterval = options.AutomaticRefreshInterval,
        };
    }

    /// <summary>Until when keys that were kept hold; null when none do.</summary>
    public DateTimeOffset? HeldUntil => Volatile.Read(ref _held) is { } held && _time.GetUtcNow() < held.Until ? held.Until : null;

    /// <summary>The first calls after a start wait for the authority's first answer, or for what was kept.</summary>
    public Task<OpenIdConnectConfiguration> GetConfigurationAsync(CancellationToken cancel) => _asked.Task.IsCompleted ? CurrentAsync(cancel) : FirstAsync(cancel);

    public override async Task<BaseConfiguration> GetBaseConfigurationAsync(CancellationToken cancel) => await GetConfigurationAsync(cancel);

    public override void RequestRefresh() => _authority.RequestRefresh();

    /// <summary>From the authority alone; when it has answered, its word holds from then on.</summary>
    public async Task AskAsync(CancellationToken ct)
    {
        await _authority.GetConfigurationAsync(ct);
        Volatile.Write(ref _held, null);
        _asked.TrySetResult();
    }

    /// <summary>Without the authority: what was kept holds until then, or nothing does.</summary>
    public async Task HoldAsync(AuthorityDocuments? kept, DateTimeOffset until, CancellationToken ct)
    {
        Volatile.Write(ref _held, kept is null ? null : new(await ReadAsync("kept", new Documents { Kept = kept }, ct), until));
        _asked.TrySetResult();
    }

    /// <returns>What has been fetched since this was asked last, if anything.</returns>
    public AuthorityDocuments? TakeFetched() => Interlocked.Exchange(ref _fetched, null);

    private async Task<OpenIdConnectConfiguration> FirstAsync(CancellationToken cancel)
    {
        await _asked.Task.WaitAsync(cancel);
        return await CurrentAsync(cancel);
    }

    private Task<OpenIdConnectConfiguration> CurrentAsync(CancellationToken cancel) =>
        Volatile.Read(ref _held) is { } held && _time.GetUtcNow() < held.Until ? Task.FromResult(held.Configuration) : _authority.GetConfigurationAsync(cancel);

    private static Task<OpenIdConnectConfiguration> ReadAsync(string address, Documents documents, CancellationToken ct) =>
        OpenIdConnectConfigurationRetriever.GetAsync(address, documents, ct);

    private sealed record Held(OpenIdConnectConfiguration Configuration, DateTimeOffset Until);

    private sealed class Retriever(AuthorityConfiguration owner) : IConfigurationRetriever<OpenIdConnectConfiguration>
    {
        public async Task<OpenIdConnectConfiguration> GetConfigurationAsync(string address, IDocumentRetriever retriever, CancellationToken cancel)
        {
            var documents = new Documents { Http = retriever };
            var configuration = await ReadAsync(address, documents, cancel);
            if (documents.Kept.Keys.Length > 0)
            {
                Interlocked.Exchange(ref owner._fetched, documents.Kept);
            }
            return configuration;
        }
    }

    /// <summary>First the discovery document is asked for, then the keys: over HTTP, which is written down, or as they were.</summary>
    private sealed class Documents : IDocumentRetriever
    {
        private bool _isSecond;

        public IDocumentRetriever? Http { get; init; }

        public AuthorityDocuments Kept { get; set; } = new("", "");

        public async Task<string> GetDocumentAsync(string address, CancellationToken cancel)
        {
            var document = Http is null ? (_isSecond ? Kept.Keys : Kept.Discovery) : await Http.GetDocumentAsync(address, cancel);
            Kept = _isSecond ? Kept with { Keys = document } : Kept with { Discovery = document };
            _isSecond = true;
            return document;
        }
    }
}
