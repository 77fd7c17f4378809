using System.ComponentModel.DataAnnotations;

namespace Gateway.Docs;

/// <summary>The page about the API and its document; configuration section <c>Docs</c>.</summary>
internal sealed class DocsOptions
{
    /// <summary>Who may see them; <see cref="DocsAccess.Everyone"/> in Development and <see cref="DocsAccess.Off"/> elsewhere unless set.</summary>
    public DocsAccess? Access { get; set; }

    /// <summary>
    /// The public client of the authority with which the page gets tokens, by authorization code and PKCE; <c>{gateway}/docs/</c> must be among its
    /// redirect addresses. <c>development-docs</c> in Development, where the identity service has it; null elsewhere unless set: who tries a call out
    /// gives the page a token or a client of his own.
    /// </summary>
    [MinLength(1, ErrorMessage = "Docs:ClientId must not be empty. Set it to a public client of the authority, or leave it out.")]
    public string? ClientId { get; set; }

    /// <summary>Seconds after which the services are asked for their documents anew; 1 to 3600, 10 unless set.</summary>
    [Range(1, 3600, ErrorMessage = "Docs:RefreshSeconds must be from 1 to 3600.")]
    public int RefreshSeconds { get; set; } = 10;
}

internal enum DocsAccess
{
    /// <summary>There is neither page nor document.</summary>
    Off,

    /// <summary>Both are there for everyone. Calls need what they need.</summary>
    Everyone,
}
