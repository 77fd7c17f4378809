using System.Globalization;
using System.Text;
using Semver;

namespace MobileServices.Push.Registrations;

/// <summary>Versions as text that sorts, byte by byte, as they do (Semantic Versioning 2.0.0, section 11): so the database compares them by an ordinary column.</summary>
internal static class VersionOrder
{
    /// <returns>Null when it is no version; <c>2</c> and <c>2.1</c> are read as <c>2.0.0</c> and <c>2.1.0</c>.</returns>
    public static string? Of(string? version)
    {
        if (version is null || version.Length > 100
            || !SemVersion.TryParse(version, SemVersionStyles.OptionalMinorPatch, out var parsed)
            || parsed.Major > uint.MaxValue || parsed.Minor > uint.MaxValue || parsed.Patch > uint.MaxValue)
        {
            return null;
        }
        var order = new StringBuilder(64);
        order.Append(CultureInfo.InvariantCulture, $"{parsed.Major:D10}.{parsed.Minor:D10}.{parsed.Patch:D10}");
        if (!parsed.IsPrerelease)
        {
            // After every pre-release of its own.
            return order.Append('~').ToString();
        }
        order.Append('-');
        foreach (var identifier in parsed.PrereleaseIdentifiers)
        {
            // A blank sorts before whatever an identifier may hold, so fewer identifiers come first; numbers come before words, shorter ones before longer.
            order.Append(' ');
            if (identifier.Value.All(char.IsAsciiDigit))
            {
                order.Append('0').Append(CultureInfo.InvariantCulture, $"{identifier.Value.Length:D3}").Append(identifier.Value);
            }
            else
            {
                order.Append('1').Append(identifier.Value);
            }
        }
        return order.ToString();
    }
}
