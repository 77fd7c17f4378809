using System.ComponentModel.DataAnnotations;
using MobileIntegration.ServiceDefaults;
using MobileServices.Identity.Clients;

namespace MobileServices.Identity;

/// <summary>Settings of the identity provider; configuration section <c>Identity</c>.</summary>
internal sealed class IdentityOptions : IValidatableObject
{
    /// <summary>The path under which everything of the slice is, here and at the public address.</summary>
    public const string Path = "/identity";

    /// <summary>What access tokens name in <c>aud</c>; services expect it (<see cref="AuthenticationSettings.Audience"/>).</summary>
    public const string Audience = "mobile-integration";

    /// <summary>
    /// The public address of the slice, which tokens name in <c>iss</c>: the gateway's address and <c>/identity</c>. Required; https, or http on
    /// this machine. Host and scheme of a request are never believed; links and redirects are made from this.
    /// </summary>
    public string? Issuer { get; set; }

    /// <summary>Minutes that an access or ID token is valid; 1 to 60, 10 unless set.</summary>
    [Range(1, 60, ErrorMessage = "Identity:AccessTokenMinutes must be from 1 to 60.")]
    public int AccessTokenMinutes { get; set; } = 10;

    /// <summary>Days after which a refresh token that was not used is no longer taken; 1 to 365, 30 unless set.</summary>
    [Range(1, 365, ErrorMessage = "Identity:RefreshTokenDays must be from 1 to 365.")]
    public int RefreshTokenDays { get; set; } = 30;

    /// <summary>
    /// Seconds in which the last refresh token may be sent again and is answered the same, for clients whose answer was lost; 0 (never) to 300,
    /// 30 unless set.
    /// </summary>
    [Range(0, 300, ErrorMessage = "Identity:ReplaySeconds must be from 0 to 300.")]
    public int ReplaySeconds { get; set; } = 30;

    /// <summary>Wrong passwords in a row that lock an account; 3 to 100, 5 unless set.</summary>
    [Range(3, 100, ErrorMessage = "Identity:LockoutAttempts must be from 3 to 100.")]
    public int LockoutAttempts { get; set; } = 5;

    /// <summary>Minutes that a locked account stays so; 1 to 1440, 5 unless set.</summary>
    [Range(1, 1440, ErrorMessage = "Identity:LockoutMinutes must be from 1 to 1440.")]
    public int LockoutMinutes { get; set; } = 5;

    /// <summary>Hours until a browser has to log in again; 1 to 720, 12 unless set.</summary>
    [Range(1, 720, ErrorMessage = "Identity:SessionHours must be from 1 to 720.")]
    public int SessionHours { get; set; } = 12;

    /// <summary>Days that a key signs before the next one does; 1 to 3650, 90 unless set.</summary>
    [Range(1, 3650, ErrorMessage = "Identity:KeyDays must be from 1 to 3650.")]
    public int KeyDays { get; set; } = 90;

    /// <summary>
    /// Hours that a new key is published before it signs, longer than any service or gateway keeps the old list; 2 to 168, 24 unless set.
    /// </summary>
    [Range(2, 168, ErrorMessage = "Identity:KeyAheadHours must be from 2 to 168.")]
    public int KeyAheadHours { get; set; } = 24;

    /// <summary>
    /// Seconds after which the devices service is asked for blocked devices, whose logins end, without news of one; 0.1 to 60, 0.5 unless set.
    /// </summary>
    [Range(0.1, 60, ErrorMessage = "Identity:DevicePollSeconds must be from 0.1 to 60.")]
    public double DevicePollSeconds { get; set; } = 0.5;

    /// <summary>What an app may ask for, beside <see cref="StandardScopes"/>: name, and the sentence that the user reads.</summary>
    public Dictionary<string, string> Scopes { get; } = [];

    /// <summary>Who may ask for tokens, by client id. A client that is no longer here ends, and its tokens with it.</summary>
    public Dictionary<string, ClientOptions> Clients { get; } = [];

    public static readonly IReadOnlyDictionary<string, string> StandardScopes = new Dictionary<string, string>(new Dictionary<string, string>
    {
        ["openid"] = "Know that it is you",
        ["profile"] = "See your name",
        ["email"] = "See your e-mail address",
        ["offline_access"] = "Stay logged in until you log out",
    }.Concat(MobileIntegration.ServiceDefaults.Scopes.Descriptions));

    public TimeSpan Replay => TimeSpan.FromSeconds(ReplaySeconds);

    public string Describe(string scope) => Scopes.GetValueOrDefault(scope) ?? StandardScopes.GetValueOrDefault(scope) ?? scope;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!AuthenticationSettings.IsSafe(Issuer) || !new Uri(Issuer!).AbsoluteUri.EndsWith(Path, StringComparison.Ordinal))
        {
            yield return new(
                $"Identity:Issuer is '{Issuer}'. Set it to the public address of the gateway followed by {Path} (https, or http on this machine), start "
                + "the service from the AppHost, set Authentication:Authority to the provider that is used instead, or name the slices to run (Run=devices).");
        }
        foreach (var (id, client) in Clients)
        {
            foreach (var fault in client.Faults(id, this))
            {
                yield return new(fault);
            }
        }
    }
}
