using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.Hosting;
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
internal sealed class AuthorityKeys(IOptionsMonitor<JwtBearerOptions> options) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1));
        do
        {
            try
            {
                var bearer = options.Get(JwtBearerDefaults.AuthenticationScheme);
                await bearer.ConfigurationManager!.GetConfigurationAsync(stoppingToken);
                return;
            }
            catch (Exception) when (!stoppingToken.IsCancellationRequested)
            {
                // The first request will say so; there is nothing to do but ask again.
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }
}
