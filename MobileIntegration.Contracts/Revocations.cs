namespace MobileIntegration.Contracts;

/// <summary>Access tokens and logins that ended before their time, for as long as an access token of theirs could still be valid.</summary>
/// <param name="Cursor">What to ask with next time; the next answer may repeat some of this one.</param>
/// <param name="Ids">What access tokens name in <see cref="TokenClaim"/> or <see cref="LoginClaim"/>.</param>
public sealed record Revocations(string Cursor, IReadOnlyList<string> Ids)
{
    /// <summary>The Redis channel on which each id is told as it ends; an empty message says that some may have been missed.</summary>
    public const string Channel = "mobile.revocations";

    /// <summary>Below the identity service's own address. Inside the system only: the gateway does not route it.</summary>
    public const string Path = "revocations";

    /// <summary><see cref="Path"/> from the root.</summary>
    public const string FullPath = "/identity/revocations";

    /// <summary>The claim of an access token that names the token itself.</summary>
    public const string TokenClaim = "oi_tkn_id";

    /// <summary>The claim of an access token that names the login that it comes from.</summary>
    public const string LoginClaim = "oi_au_id";

    /// <summary>Longer than any access token lives: an id is no longer kept after that.</summary>
    public static readonly TimeSpan Kept = TimeSpan.FromMinutes(61);
}
