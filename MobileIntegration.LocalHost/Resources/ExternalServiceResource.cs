using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost;

/// <summary>A service outside the application, at an absolute URL whose path is "/".</summary>
public sealed class ExternalServiceResource : Resource
{
    public ExternalServiceResource(string name, Uri uri)
        : base(name)
    {
        ArgumentNullException.ThrowIfNull(uri);
        Uri = Problem(uri) is { } problem ? throw new ArgumentException($"External service '{name}': {problem}", nameof(uri)) : uri;
    }

    public ExternalServiceResource(string name, ParameterResource urlParameter)
        : base(name)
    {
        ArgumentNullException.ThrowIfNull(urlParameter);
        UrlParameter = urlParameter;
    }

    public Uri? Uri { get; }

    public ParameterResource? UrlParameter { get; }

    /// <summary>The service's address, from the parameter if it has one.</summary>
    internal async ValueTask<Uri> GetUriAsync(CancellationToken ct)
    {
        if (Uri is not null)
        {
            return Uri;
        }

        var text = await UrlParameter!.GetValueAsync(ct).ConfigureAwait(false);
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || Problem(uri) is not null)
        {
            throw new DistributedApplicationException(
                $"Parameter '{UrlParameter.Name}' is the address of external service '{Name}' and must be an absolute URL such as https://example.org/, but it is '{text}'.");
        }

        return uri;
    }

    private static string? Problem(Uri uri) => uri switch
    {
        { IsAbsoluteUri: false } => $"'{uri}' is not an absolute URL such as https://example.org/.",
        { AbsolutePath: not "/" } => $"the path of '{uri}' must be \"/\": services are found by host, and callers add the path.",
        { Fragment: not "" } => $"'{uri}' must not have a fragment.",
        _ => null,
    };
}
