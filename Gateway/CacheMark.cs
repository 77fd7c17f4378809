using System.Globalization;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.Features;

namespace Gateway;

/// <summary>What a service says about keeping an answer (RFC 9111), as far as the key depends on it.</summary>
/// <param name="Kept">Whether it may be kept at all.</param>
/// <param name="Personal">Whether it is for its caller alone.</param>
/// <param name="Vary">The headers of the request that it depends on: in lower case, sorted, with commas.</param>
internal sealed record CacheMark(bool Kept, bool Personal, string Vary)
{
    public static readonly CacheMark Never = new(false, false, "");

    /// <summary>What is taken for granted of a resource that was not seen yet. Its answer is kept only if it turns out so.</summary>
    public static readonly CacheMark Assumed = new(true, false, "");

    /// <summary>Of a token, what one call of the same caller has otherwise than the next.</summary>
    private static readonly string[] OfOneToken = ["exp", "iat", "nbf", "jti", "auth_time", "at_hash"];

    public static CacheMark Of(HttpRequest request, HttpResponseMessage response, out TimeSpan validFor)
    {
        validFor = TimeSpan.Zero;
        var headers = response.Headers;
        if (headers.CacheControl is not { NoStore: false, NoCache: false } control || headers.Contains("Set-Cookie") || headers.Vary.Contains("*"))
        {
            return Never;
        }
        // Section 3.5: what came for a token is shared only if the service says so.
        var shared = control.SharedMaxAge is not null || control.Public || request.Headers.Authorization.Count is 0;
        var personal = control.Private || !shared;
        validFor = ((personal ? null : control.SharedMaxAge) ?? control.MaxAge ?? TimeSpan.Zero) - (headers.Age ?? TimeSpan.Zero);
        return validFor > TimeSpan.Zero
            ? new(true, personal, string.Join(',', headers.Vary.Select(name => name.ToLowerInvariant()).Distinct().Order(StringComparer.Ordinal)))
            : Never;
    }

    /// <summary>Two calls that may have different answers have different keys, also where one forges what separates the parts of another's.</summary>
    public string KeyOf(HttpContext context)
    {
        var key = new StringBuilder(Personal ? "personal" : "shared");
        Append(key, context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget);
        foreach (var name in Vary.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            Append(key, name);
            var values = context.Request.Headers[name];
            key.Append(CultureInfo.InvariantCulture, $"*{values.Count}");
            foreach (var value in values)
            {
                Append(key, value ?? "");
            }
        }
        if (Personal)
        {
            foreach (var claim in context.User.Claims.Where(claim => !OfOneToken.Contains(claim.Type))
                .OrderBy(claim => claim.Type, StringComparer.Ordinal).ThenBy(claim => claim.Value, StringComparer.Ordinal))
            {
                Append(key, claim.Type);
                Append(key, claim.Value);
            }
        }
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key.ToString())));
    }

    public bool IsFor(ClaimsPrincipal user) => Kept && (!Personal || user.Identity is { IsAuthenticated: true });

    private static void Append(StringBuilder key, string part) => key.Append(CultureInfo.InvariantCulture, $"|{part.Length}:").Append(part);
}
