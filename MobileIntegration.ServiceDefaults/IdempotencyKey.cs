using System.Text;
using Microsoft.Extensions.Primitives;

namespace MobileIntegration.ServiceDefaults;

/// <summary>The header <c>Idempotency-Key</c> (draft-ietf-httpapi-idempotency-key-header).</summary>
public static class IdempotencyKey
{
    public const string Header = "Idempotency-Key";

    /// <summary>Completes a sentence that starts with the header's name.</summary>
    public const string Form = "must be there once, with 1 to 255 printable ASCII characters, such as a UUID.";

    private const int Longest = 255;

    /// <summary>A string of RFC 9651, section 3.3.3, or the bare key, as most clients send it.</summary>
    /// <returns>Null when it is neither, or not of 1 to 255 printable ASCII characters.</returns>
    public static string? Read(StringValues header)
    {
        if (header.Count is not 1 || header[0] is not { Length: > 0 } text)
        {
            return null;
        }
        if (text[0] is '"')
        {
            return Unquote(text) is { Length: > 0 and <= Longest } key ? key : null;
        }
        return text.Length <= Longest && text.All(character => character is > ' ' and <= '~' and not ('"' or ',')) ? text : null;
    }

    private static string? Unquote(string text)
    {
        var key = new StringBuilder();
        for (var i = 1; i < text.Length; i++)
        {
            switch (text[i])
            {
                case '"': return i == text.Length - 1 ? key.ToString() : null;
                case '\\' when ++i >= text.Length || text[i] is not ('"' or '\\'): return null;
                case < ' ' or > '~': return null;
            }
            key.Append(text[i]);
        }
        return null;
    }
}
