using System.ComponentModel.DataAnnotations;

namespace Gateway;

/// <summary>
/// How large a request may be beside its body, whose limit is <c>Limits:BodyBytes</c>; configuration section <c>Edge</c>. The server itself takes twice
/// as much, so that what is a little too large is told so in a problem; beyond that it answers without a body.
/// </summary>
internal sealed class EdgeOptions
{
    /// <summary>The longest request target, path and query together, in bytes; longer ones are a 414. 1 to 64 KiB, 8 KiB unless set.</summary>
    [Range(1024, 65536, ErrorMessage = "Edge:UrlBytes must be from 1024 to 65536.")]
    public int UrlBytes { get; set; } = 8192;

    /// <summary>All headers together in bytes, more are a 431; 4 to 256 KiB, 32 KiB unless set.</summary>
    [Range(4096, 262144, ErrorMessage = "Edge:HeaderBytes must be from 4096 to 262144.")]
    public int HeaderBytes { get; set; } = 32768;

    /// <summary>One header in bytes, larger ones are a 431; 1 to 256 KiB, 16 KiB unless set.</summary>
    [Range(1024, 262144, ErrorMessage = "Edge:HeaderLineBytes must be from 1024 to 262144.")]
    public int HeaderLineBytes { get; set; } = 16384;

    /// <summary>The number of headers, more are a 431; 20 to 1000, 100 unless set.</summary>
    [Range(20, 1000, ErrorMessage = "Edge:HeaderCount must be from 20 to 1000.")]
    public int HeaderCount { get; set; } = 100;
}

/// <summary>Web pages of other origins that may call; configuration section <c>Cors</c>. Without origins there are no CORS headers at all.</summary>
internal sealed class CorsSettings : IValidatableObject
{
    /// <summary>Such as <c>https://shop.example</c>, without a path; or <c>*</c> alone.</summary>
    public IReadOnlyList<string> Origins { get; set; } = [];

    /// <summary>Whether cookies and client certificates go with such calls; access tokens go without it. False unless set.</summary>
    public bool Credentials { get; set; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Origins.Contains("*"))
        {
            if (Origins.Count > 1)
            {
                yield return new("Cors:Origins holds * and others. Leave the others out, or the *.");
            }
            if (Credentials)
            {
                yield return new("Cors:Origins is * and Cors:Credentials is true, which browsers refuse. Name the origins, or leave Cors:Credentials out.");
            }
            yield break;
        }
        foreach (var origin in Origins)
        {
            if (!Uri.TryCreate(origin, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.GetLeftPart(UriPartial.Authority) != origin)
            {
                yield return new($"Cors:Origins holds '{origin}'. An origin is a scheme, a host in lower case and maybe a port, such as https://shop.example.");
            }
        }
    }
}
