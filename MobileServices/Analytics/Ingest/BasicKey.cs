using System.Text;

namespace MobileServices.Analytics.Ingest;

/// <summary>The user name of basic authentication (RFC 7617).</summary>
internal static class BasicKey
{
    /// <returns>Null when there is none.</returns>
    public static string? Of(HttpRequest request)
    {
        var header = request.Headers.Authorization.ToString();
        if (!header.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }
        try
        {
            return Encoding.UTF8.GetString(Convert.FromBase64String(header["Basic ".Length..].Trim())).Split(':')[0];
        }
        catch (FormatException)
        {
            return "";
        }
    }
}
