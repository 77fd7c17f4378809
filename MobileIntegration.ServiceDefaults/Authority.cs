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
