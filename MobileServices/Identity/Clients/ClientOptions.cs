namespace MobileServices.Identity.Clients;

/// <summary>One client; configuration section <c>Identity:Clients:{client id}</c>.</summary>
internal sealed class ClientOptions
{
    /// <summary>What the user reads when the client asks for consent; the client id unless set.</summary>
    public string? Name { get; set; }

    /// <summary>
    /// Makes it a confidential client, which may use the client credentials grant and introspection; at least 24 characters. Without it, it is a
    /// public one: an app on a user's device, which can keep no secret and uses code + PKCE or the device grant.
    /// </summary>
    public string? Secret { get; set; }

    /// <summary>
    /// Where a login may end (RFC 8252): https://..., a private scheme with a dot in it (com.example.app:/callback), or http on 127.0.0.1 or [::1],
    /// at any port when none is given.
    /// </summary>
    public IList<string> RedirectUris { get; } = [];

    /// <summary>The scopes that it may ask for; openid and offline_access need not be named.</summary>
    public IList<string> Scopes { get; } = [];

    /// <summary>A client of the organisation itself: the user is not asked for consent. Not where anyone on the device could take its redirect.</summary>
    public bool Trusted { get; set; }

    /// <summary>May use the device grant (RFC 8628), for devices without a browser or keyboard.</summary>
    public bool Device { get; set; }

    public bool IsPublic => Secret is null;

    public IEnumerable<string> Faults(string id, IdentityOptions identity)
    {
        var path = $"Identity:Clients:{id}";
        if (id.Length > 100)
        {
            yield return $"{path} is longer than 100 characters. Shorten the client id.";
        }
        if (Secret is { Length: < 24 })
        {
            yield return $"{path}:Secret is shorter than 24 characters. Set a random one.";
        }
        if (IsPublic && RedirectUris.Count is 0 && !Device)
        {
            yield return $"{path} can do nothing: it has neither RedirectUris, nor Device, nor a Secret. Set one of them.";
        }
        foreach (var address in RedirectUris.Where(address => !IsRedirect(address)))
        {
            yield return $"{path}:RedirectUris names '{address}'. Use https://..., a private scheme such as com.example.app:/callback, or http://127.0.0.1/...";
        }
        var valid = IdentityOptions.StandardScopes.Keys.Concat(identity.Scopes.Keys).ToList();
        foreach (var scope in Scopes.Where(scope => !valid.Contains(scope)))
        {
            yield return $"{path}:Scopes names '{scope}', which there is not. Valid: {string.Join(", ", valid)}.";
        }
    }

    private static bool IsRedirect(string address)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || address.Contains('#', StringComparison.Ordinal))
        {
            return false;
        }
        return uri.Scheme switch
        {
            "https" => true,
            "http" => uri is { IsLoopback: true, HostNameType: UriHostNameType.IPv4 or UriHostNameType.IPv6 },
            var scheme => scheme.Contains('.', StringComparison.Ordinal),
        };
    }
}
