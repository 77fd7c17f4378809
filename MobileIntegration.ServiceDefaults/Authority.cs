using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// Sends what is asked of the authority to <see cref="AuthenticationSettings.InternalAddress"/>, also the addresses that its discovery document
/// names: services need not be able to reach the public address.
/// </summary>
internal sealed class AuthorityRoute(AuthenticationSettings settings) : DelegatingHandler
{
    private readonly string _public = settings.Authority!.TrimEnd('/');
    private readonly string? _inside = settings.InternalAddress?.TrimEnd('/');

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var address = request.RequestUri!.AbsoluteUri;
        if (_inside is not null && address.StartsWith($"{_public}/", StringComparison.OrdinalIgnoreCase))
        {
            request.RequestUri = new Uri(_inside + address[_public.Length..]);
        }
        return base.SendAsync(request, cancellationToken);
    }
}

/// <summary>Fetches the authority's keys ahead of the first request, again and again until they are here once.</summary>
internal sealed partial class AuthorityKeys(IOptionsMonitor<JwtBearerOptions> options, TokenCache cache, ILogger<AuthorityKeys> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1));
        var told = false;
        do
        {
            var bearer = options.Get(JwtBearerDefaults.AuthenticationScheme);
            try
            {
                await bearer.ConfigurationManager!.GetConfigurationAsync(stoppingToken);
                cache.HasKeys = true;
                return;
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                // At a start of the whole system the authority is often a moment behind: asked again, and told once.
                if (!told)
                {
                    NotReached(logger, bearer.Authority, (exception.InnerException ?? exception).Message);
                    told = true;
                }
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The keys of the authority {Authority} are not here yet, and are asked for every second: {Reason}")]
    private static partial void NotReached(ILogger logger, string? authority, string reason);
}
