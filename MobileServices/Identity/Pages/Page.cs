using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;

namespace MobileServices.Identity.Pages;

/// <summary>An HTML page of ours: no scripts, nothing from elsewhere, in no frame, kept by nobody.</summary>
/// <param name="FormTarget">Where else than here a form on it may lead in the end (CSP source), which is the client's redirect.</param>
internal sealed record Page(string Title, string Body, int Status = StatusCodes.Status200OK, string? FormTarget = null) : IResult
{
    private const string Css =
        """
        :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
        body { max-width: 26rem; margin: 10vh auto; padding: 0 1rem; }
        h1 { font-size: 1.4rem; line-height: 1.3; }
        label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; }
        input { padding: .6rem; margin: .2rem 0 1rem; border: 1px solid #767676; border-radius: .3rem; }
        button { padding: .7rem; margin: .6rem 0; border: 1px solid #0b57d0; border-radius: .3rem; color: #fff; background: #0b57d0; cursor: pointer; }
        button.second { color: inherit; background: transparent; }
        :focus-visible { outline: 3px solid #e8710a; outline-offset: 2px; }
        [role=alert] { padding: .6rem; border-left: .3rem solid #b3261e; }
        """;

    private static readonly string StyleHash = Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Css)));

    public static string Encode(string? text) => HtmlEncoder.Default.Encode(text ?? "");

    /// <summary>The CSP source of a redirect address.</summary>
    public static string? TargetOf(string? redirectUri) => Uri.TryCreate(redirectUri, UriKind.Absolute, out var uri)
        ? uri switch
        {
            // A source cannot name an IPv6 address.
            { Scheme: "http" or "https", HostNameType: UriHostNameType.IPv6 } => $"{uri.Scheme}:",
            { Scheme: "http" or "https" } => $"{uri.Scheme}://{uri.IdnHost}:{uri.Port}",
            _ => $"{uri.Scheme}:",
        }
        : null;

    public static string Hidden(IEnumerable<KeyValuePair<string, string>> fields) => string.Concat(fields.Select(field =>
        $"""<input type="hidden" name="{Encode(field.Key)}" value="{Encode(field.Value)}">"""));

    public Task ExecuteAsync(HttpContext httpContext)
    {
        var response = httpContext.Response;
        response.StatusCode = Status;
        response.ContentType = "text/html; charset=utf-8";
        response.Headers.CacheControl = "no-store";
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers.XFrameOptions = "DENY";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers.ContentSecurityPolicy =
            $"default-src 'none'; style-src 'sha256-{StyleHash}'; form-action 'self' {FormTarget}; base-uri 'none'; frame-ancestors 'none'";
        return response.WriteAsync(
            $"""
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{Encode(Title)}</title>
            <style>{Css}</style>
            </head>
            <body>
            <main>
            <h1>{Encode(Title)}</h1>
            {Body}
            </main>
            </body>
            </html>

            """,
            httpContext.RequestAborted);
    }
}
