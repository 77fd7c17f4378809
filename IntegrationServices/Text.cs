using System.Diagnostics.CodeAnalysis;
using System.Xml;

namespace IntegrationServices;

/// <summary>Rules about text that goes to the back office.</summary>
internal static class Text
{
    /// <summary>The back office takes it in its XML and JSON, and shows it on one line.</summary>
    public static bool IsPlain([NotNullWhen(true)] string? text, int longest)
    {
        if (string.IsNullOrWhiteSpace(text) || text.Length > longest || text.Any(char.IsControl))
        {
            return false;
        }
        try
        {
            XmlConvert.VerifyXmlChars(text);
            return true;
        }
        catch (XmlException)
        {
            return false;
        }
    }

    /// <summary>What people search for: letters, digits and the marks that names have; nothing that a query language could mean.</summary>
    public static bool IsSearch([NotNullWhen(true)] string? text) =>
        text?.Trim() is { Length: >= 2 and <= 100 } && text.All(sign => char.IsLetterOrDigit(sign) || " -.,'&+/%@".Contains(sign, StringComparison.Ordinal)) && text.Any(char.IsLetterOrDigit);

    /// <summary>One name of an enumeration, in any case; no number, and no list of names.</summary>
    public static bool IsName<T>([NotNullWhen(true)] string? text, out T value) where T : struct, Enum =>
        Enum.TryParse(text, ignoreCase: true, out value) && Enum.IsDefined(value) && value.ToString().Equals(text, StringComparison.OrdinalIgnoreCase);

    public static bool IsCountry([NotNullWhen(true)] string? code) => code is [>= 'A' and <= 'Z', >= 'A' and <= 'Z'];
}
