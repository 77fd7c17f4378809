using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>Lets in whoever has the token of this run, as the link in the terminal gives it.</summary>
internal sealed class DashboardLogin
{
    private const string Unsecured = "ASPIRE_DASHBOARD_UNSECURED_ALLOW_ANONYMOUS";
    private readonly string? _token;
    private readonly int _port;

    private DashboardLogin(string? token, int port) => (_token, _port) = (token, port);

    public string Url => _token is null ? $"http://localhost:{_port}" : $"http://localhost:{_port}/login?t={Uri.EscapeDataString(_token)}";

    /// <summary>The setting <c>AppHost:BrowserToken</c> fixes the token; ASPIRE_DASHBOARD_UNSECURED_ALLOW_ANONYMOUS=true lets in everybody.</summary>
    public static DashboardLogin From(IConfiguration settings, int port) => new(
        settings.GetValue(Unsecured, false)
            ? null
            : settings["AppHost:BrowserToken"] is { Length: > 0 } token ? token : RandomNumberGenerator.GetHexString(32, lowercase: true),
        port);

    public void AddTo(IServiceCollection services)
    {
        services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie(cookie =>
        {
            // Browsers share the cookies of localhost between all ports.
            cookie.Cookie.Name = $"dashboard-{_port}";
            cookie.Cookie.HttpOnly = true;
            cookie.Cookie.SameSite = SameSiteMode.Strict;
            cookie.LoginPath = "/login";
        });
        services.AddAuthorization(authorization =>
        {
            if (_token is null)
            {
                authorization.DefaultPolicy = new AuthorizationPolicyBuilder().RequireAssertion(_ => true).Build();
            }
        });
        services.AddCascadingAuthenticationState();
    }

    public void Map(IEndpointRouteBuilder app) => app.MapGet("/login", LogInAsync).AllowAnonymous();

    private async Task<IResult> LogInAsync(HttpContext context, string? t)
    {
        if (_token is null)
        {
            return Results.Redirect("/");
        }

        if (t is null || !CryptographicOperations.FixedTimeEquals(Hash(t), Hash(_token)))
        {
            return Results.Content(Refusal(t is not null), "text/html; charset=utf-8", statusCode: StatusCodes.Status401Unauthorized);
        }

        var user = new ClaimsIdentity([new Claim(ClaimTypes.Name, "developer")], CookieAuthenticationDefaults.AuthenticationScheme);
        await context.SignInAsync(new ClaimsPrincipal(user));

        // A SameSite=Strict cookie is not sent along a redirect that began in another site; a page that leads on by itself begins here.
        return Results.Content("""<!doctype html><html lang="en"><title>Dashboard</title><link rel="icon" href="data:,"><meta http-equiv="refresh" content="0;url=/">""", "text/html; charset=utf-8");
    }

    private static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    private static string Refusal(bool wrong) => $"""
        <!doctype html><html lang="en"><head><link rel="icon" href="data:,"><title>Log in to the dashboard</title><link rel="stylesheet" href="/dashboard.css"></head>
        <body><main class="login"><h1>Log in to the dashboard</h1>{(wrong ? "<p role=\"alert\">This token is not the one of this run.</p>" : "")}
        <p>The link with the token is in the terminal that runs the AppHost.</p>
        <form action="/login"><label>Token <input name="t" type="password" autocomplete="off" required autofocus></label> <button>Log in</button></form></main></body></html>
        """;
}
