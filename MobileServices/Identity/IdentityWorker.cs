using Dapper;
using Microsoft.Extensions.Options;
using MobileServices.Identity.Keys;
using OpenIddict.Abstractions;

namespace MobileServices.Identity;

/// <summary>Turns the keys over and takes out what can no longer be used, once a minute.</summary>
internal sealed class IdentityWorker(
    IServiceProvider services, SigningKeys keys, IOptions<IdentityOptions> options, TimeProvider time, ILogger<IdentityWorker> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMinutes(1), time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await StepAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                logger.LogWarning(exception, "The upkeep of keys and tokens failed; it is tried again in a minute");
            }
        }
    }

    public async Task StepAsync(CancellationToken ct)
    {
        keys.Refresh();
        await using var scope = services.CreateAsyncScope();
        await scope.ServiceProvider.GetRequiredService<IdentityContext>().Connection.ExecuteAsync(new CommandDefinition(
            "delete from identity.refresh_answer where answered_at < @before",
            new { before = time.GetUtcNow() - options.Value.Replay }, cancellationToken: ct));
        await scope.ServiceProvider.GetRequiredService<IdentityContext>().Connection.ExecuteAsync(new CommandDefinition(
            "delete from identity.revocation where until < now()", cancellationToken: ct));
        // A redeemed refresh token stays as long as a living one may, for its reuse is a theft.
        var before = time.GetUtcNow().AddDays(-options.Value.RefreshTokenDays);
        await scope.ServiceProvider.GetRequiredService<IOpenIddictTokenManager>().PruneAsync(before, ct);
        await scope.ServiceProvider.GetRequiredService<IOpenIddictAuthorizationManager>().PruneAsync(before, ct);
    }
}
