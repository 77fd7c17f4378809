using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MobileIntegration.ServiceDefaults.Keys;

/// <summary>
/// Fetches the authority's keys ahead of the first request, again and again until they are here once, and keeps what it gets. When it is away at the
/// start, what was kept holds.
/// </summary>
internal sealed partial class AuthorityKeys(
    IOptionsMonitor<JwtBearerOptions> options, IOptions<AuthenticationSettings> settings, TokenCache cache, IServiceProvider services, TimeProvider time, ILogger<AuthorityKeys> logger)
    : BackgroundService
{
    private static readonly TimeSpan Again = TimeSpan.FromSeconds(1);

    /// <summary>How often it is looked whether the keys were fetched anew: by a request, or by this when an hour is over.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(30);

    private readonly KeptKeys? _kept = settings.Value.KeptKeysHours > 0 ? services.GetService<KeptKeys>() : null;
    private bool _isTold;
    private bool _isWriteTold;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        var authority = (AuthorityConfiguration)options.Get(JwtBearerDefaults.AuthenticationScheme).ConfigurationManager!;
        while (!stoppingToken.IsCancellationRequested)
        {
            var isHere = await AskAsync(authority, stoppingToken);
            if (isHere && _kept is not null && authority.TakeFetched() is { } fetched)
            {
                await KeepAsync(_kept, fetched, stoppingToken);
            }
            await Task.Delay(isHere ? Look : Again, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<bool> AskAsync(AuthorityConfiguration authority, CancellationToken stopping)
    {
        try
        {
            await authority.AskAsync(stopping);
            cache.HasKeys = true;
            return true;
        }
        catch (Exception exception)
        {
            if (!stopping.IsCancellationRequested && authority.HeldUntil is null)
            {
                await HoldAsync(authority, (exception.InnerException ?? exception).Message, stopping);
            }
            return false;
        }
    }

    private async Task HoldAsync(AuthorityConfiguration authority, string reason, CancellationToken stopping)
    {
        KeptDocuments? kept = null;
        var lack = settings.Value.KeptKeysHours is 0 ? "Authentication:KeptKeysHours is 0, so that none were kept"
            : _kept is null ? "This process has no database to keep any in" : $"None that were fetched within {settings.Value.KeptKeysHours} h are kept";
        try
        {
            kept = _kept is null ? null : await _kept.ReadAsync(stopping);
            var until = kept is null ? default : time.GetUtcNow() + TimeSpan.FromHours(settings.Value.KeptKeysHours) - TimeSpan.FromSeconds(kept.AgeSeconds);
            await authority.HoldAsync(kept is null ? null : new(kept.Discovery, kept.Keys), until, stopping);
        }
        catch (Exception exception) when (!stopping.IsCancellationRequested)
        {
            lack = $"What was kept cannot be read ({exception.Message})";
            await authority.HoldAsync(null, default, stopping);
        }
        cache.HasKeys = kept is not null;
        if (kept is not null)
        {
            KeptHold(logger, settings.Value.Authority, TimeSpan.FromSeconds(Math.Round(kept.AgeSeconds)), authority.HeldUntil, reason);
            _isTold = false;
        }
        else if (!_isTold)
        {
            // At a start of the whole system the authority is often a moment behind: asked again, and told once.
            NotReached(logger, settings.Value.Authority, reason, lack);
            _isTold = true;
        }
    }

    private async Task KeepAsync(KeptKeys kept, AuthorityDocuments documents, CancellationToken stopping)
    {
        try
        {
            await kept.WriteAsync(documents, stopping);
            _isWriteTold = false;
        }
        catch (Exception exception)
        {
            // The next start finds those from before.
            if (!stopping.IsCancellationRequested && !_isWriteTold)
            {
                NotKept(logger, exception.Message);
                _isWriteTold = true;
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The keys of the authority {Authority} are not here yet, and are asked for every second: {Reason}. {Lack}: tokens get 503 until then")]
    private static partial void NotReached(ILogger logger, string? authority, string reason, string lack);

    [LoggerMessage(Level = LogLevel.Information, Message = "The authority {Authority} is away, and is asked for its keys every second. Until it answers, those hold that it gave {Age} ago, until {Until:u} at most: {Reason}")]
    private static partial void KeptHold(ILogger logger, string? authority, TimeSpan age, DateTimeOffset? until, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The authority's keys were fetched and are in use, but could not be kept for the next start: {Reason}")]
    private static partial void NotKept(ILogger logger, string reason);
}
