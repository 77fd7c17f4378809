using System.Net;
using System.Text.RegularExpressions;

namespace MobileIntegration.Tests.MobileServices;

/// <summary>A page as far as a test looks at it: its forms' hidden fields, and where it posts to.</summary>
internal sealed record BrowserPage(HttpStatusCode Status, string Html, string SecurityPolicy)
{
    public string Heading => WebUtility.HtmlDecode(Regex.Match(Html, "<h1>(.*?)</h1>").Groups[1].Value);

    public string Action => WebUtility.HtmlDecode(Regex.Match(Html, "<form method=\"\\w+\" action=\"([^\"]*)\"").Groups[1].Value);

    public Dictionary<string, string> Hidden => Regex.Matches(Html, "<input type=\"hidden\" name=\"([^\"]*)\" value=\"([^\"]*)\">")
        .ToDictionary(match => WebUtility.HtmlDecode(match.Groups[1].Value), match => WebUtility.HtmlDecode(match.Groups[2].Value));
}

/// <summary>Cookies and forms, no scripts: what the pages ask of a browser.</summary>
internal sealed class Browser(Uri service) : IDisposable
{
    private readonly HttpClient _http = new(new HttpClientHandler { AllowAutoRedirect = false }) { BaseAddress = service };

    public async Task<(BrowserPage? Page, Uri? Redirect)> GetAsync(string address) => await ReadAsync(await _http.GetAsync(address));

    public async Task<(BrowserPage? Page, Uri? Redirect)> SubmitAsync(BrowserPage page, params (string Key, string Value)[] fields)
    {
        var all = page.Hidden;
        foreach (var (key, value) in fields)
        {
            all[key] = value;
        }
        using var form = new FormUrlEncodedContent(all);
        return await ReadAsync(await _http.PostAsync(page.Action, form));
    }

    public Task<(BrowserPage? Page, Uri? Redirect)> LogInAsync(BrowserPage page, string user, string password) =>
        SubmitAsync(page, ("username", user), ("password", password));

    /// <summary>Through the login and the consent, as far as they are asked for, to the client's redirect.</summary>
    public async Task<Uri> LogInAsync(string address, string user, string password)
    {
        var (page, redirect) = await GetAsync(address);
        if (page is { } login && login.Heading.StartsWith("Log in", StringComparison.Ordinal))
        {
            (page, redirect) = await LogInAsync(login, user, password);
        }
        if (page is { } consent && consent.Heading.EndsWith("consent", StringComparison.Ordinal))
        {
            (page, redirect) = await SubmitAsync(consent, ("decision", "allow"));
        }
        return redirect ?? throw new InvalidOperationException($"No redirect, but {page}");
    }

    public void Dispose() => _http.Dispose();

    private static async Task<(BrowserPage?, Uri?)> ReadAsync(HttpResponseMessage response)
    {
        using (response)
        {
            if (response.Headers.Location is { } location)
            {
                return (null, location);
            }
            Assert.Equal("text/html", response.Content.Headers.ContentType?.MediaType);
            var policy = response.Headers.TryGetValues("Content-Security-Policy", out var values) ? string.Join(';', values) : "";
            return (new(response.StatusCode, await response.Content.ReadAsStringAsync(), policy), null);
        }
    }
}
