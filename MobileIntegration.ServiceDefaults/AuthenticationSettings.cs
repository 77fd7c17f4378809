using System.ComponentModel.DataAnnotations;

namespace MobileIntegration.ServiceDefaults;

/// <summary>Whose access tokens a service takes; configuration section <c>Authentication</c>.</summary>
public sealed class AuthenticationSettings : IValidatableObject
{
    /// <summary>
    /// The issuer, an OpenID Connect provider: discovery is at <c>{Authority}/.well-known/openid-configuration</c>. Required; https, or http on
    /// this machine.
    /// </summary>
    public string? Authority { get; set; }

    /// <summary>
    /// Where services reach the authority when that is the system's own identity service, such as <c>http://identity/identity</c>, found by service
    /// discovery; discovery document and keys come from there, and the gateway has its routes. Null for an authority outside.
    /// </summary>
    public string? InternalAddress { get; set; }

    /// <summary>What a token must name in <c>aud</c>; <c>mobile-integration</c> unless set.</summary>
    [Required(AllowEmptyStrings = false, ErrorMessage = "Authentication:Audience must not be empty.")]
    public string Audience { get; set; } = "mobile-integration";

    /// <summary>
    /// Signature algorithms (RFC 7518) by which a token may be signed, none but asymmetric ones; <c>ES256</c> unless set. An external authority
    /// may need another, such as <c>RS256</c>.
    /// </summary>
    public IReadOnlyList<string>? Algorithms { get; set; }

    /// <summary>
    /// What may stand in a token's header as <c>typ</c>; <c>at+jwt</c> (RFC 9068) unless set, so that an ID token is no access token. An external
    /// authority may need <c>JWT</c>.
    /// </summary>
    public IReadOnlyList<string>? TokenTypes { get; set; }

    /// <summary>
    /// How many validated tokens a process remembers, about 2 KB each, so that the signature of each is checked once; 0 (none) to 1,000,000,
    /// 20,000 unless set.
    /// </summary>
    [Range(0, 1_000_000, ErrorMessage = "Authentication:CachedTokens must be from 0 to 1000000.")]
    public int CachedTokens { get; set; } = 20_000;

    /// <summary>
    /// How old the authority's keys may be that a process finds at its start while the authority is away, in hours: a key that was withdrawn meanwhile
    /// counts so long at most. 0 (none are kept) to 168, 24 unless set.
    /// </summary>
    [Range(0, 168, ErrorMessage = "Authentication:KeptKeysHours must be from 0 to 168.")]
    public int KeptKeysHours { get; set; } = 24;

    /// <summary>
    /// Seconds after which the identity service is asked for tokens that ended before their time, without news of one; 0.1 to 60, 0.5 unless set: with
    /// the devices' poll before it (<c>Identity:DevicePollSeconds</c>) a lost device ends within 2 s when Redis is away. Only with <see cref="InternalAddress"/>.
    /// </summary>
    [Range(0.1, 60, ErrorMessage = "Authentication:RevocationPollSeconds must be from 0.1 to 60.")]
    public double RevocationPollSeconds { get; set; } = 0.5;

    /// <summary>Whether an address may be used to talk of secrets: https, or http that does not leave this machine.</summary>
    public static bool IsSafe(string? address) =>
        Uri.TryCreate(address, UriKind.Absolute, out var uri) && (uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && uri.IsLoopback));

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!IsSafe(Authority))
        {
            yield return new(
                $"Authentication:Authority is '{Authority}'. Set it to the address of the OpenID Connect provider whose tokens are taken "
                + "(https, or http on this machine), or start the service from the AppHost.");
        }
        if (InternalAddress is { Length: > 0 } && !(Uri.TryCreate(InternalAddress, UriKind.Absolute, out var inside) && inside.Scheme is "http" or "https"))
        {
            yield return new($"Authentication:InternalAddress is '{InternalAddress}'. Set it to an address such as http://identity/identity, or leave it out.");
        }
        foreach (var algorithm in Algorithms ?? [])
        {
            if (algorithm is not (['E' or 'R' or 'P', 'S', ..] and { Length: 5 }))
            {
                yield return new($"Authentication:Algorithms names '{algorithm}'. Name asymmetric ones such as ES256 or RS256.");
            }
        }
    }
}
