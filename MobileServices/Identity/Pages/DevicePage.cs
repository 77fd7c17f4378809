using Microsoft.AspNetCore;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using MobileServices.Identity.Tokens;
using OpenIddict.Abstractions;
using OpenIddict.Server.AspNetCore;
using static OpenIddict.Abstractions.OpenIddictConstants;

namespace MobileServices.Identity.Pages;

/// <summary>Where the user of a device without a browser types the code that it shows (RFC 8628, section 3.3).</summary>
internal static class DevicePage
{
    public const string Path = $"{IdentityOptions.Path}/device";
    private const string Scheme = OpenIddictServerAspNetCoreDefaults.AuthenticationScheme;
    private const string Decide = "device";

    public static async Task<IResult> HandleAsync(
        HttpContext http, Session session, IOpenIddictApplicationManager clients, IOptions<IdentityOptions> options, CancellationToken ct)
    {
        if (http.Request.Query["done"].ToString() is { Length: > 0 } done)
        {
            return new Page(done is "allowed" ? "The device is connected" : "The device was not connected", "<p>You can close this page.</p>");
        }
        var loggedIn = await session.FindAsync(http, ct);
        string? step;
        try
        {
            step = await session.StepAsync(http);
        }
        catch (AntiforgeryValidationException)
        {
            return session.LoginPage(http, Path, "connect a device", null, failed: false) with { Status = StatusCodes.Status400BadRequest };
        }
        if (step is Session.Login)
        {
            loggedIn = await session.LogInAsync(http, ct);
        }
        if (loggedIn is null)
        {
            return session.LoginPage(http, Path, "connect a device", null, failed: step is Session.Login);
        }

        var code = http.GetOpenIddictServerRequest()?.UserCode;
        var asked = http.GetOpenIddictServerResponse() is { Error: not null } ? null : (await http.AuthenticateAsync(Scheme)).Principal;
        if (asked?.GetClaim(Claims.ClientId) is not { } clientId || await clients.FindByClientIdAsync(clientId, ct) is not { } client)
        {
            return CodePage(failed: !string.IsNullOrEmpty(code));
        }
        if (step is not Decide)
        {
            return ConfirmPage(http, session, await clients.GetDisplayNameAsync(client, ct) ?? clientId, asked.GetScopes(), options.Value);
        }
        if (http.Request.Form["decision"] != "allow")
        {
            return Results.Forbid(new() { RedirectUri = $"{Path}?done=denied" }, [Scheme]);
        }
        return Results.SignIn(
            TokenEndpoints.PrincipalOf(loggedIn.Account, asked.GetScopes(), loggedIn.At), new() { RedirectUri = $"{Path}?done=allowed" }, Scheme);
    }

    private static Page CodePage(bool failed) => new(
        "Connect a device",
        $"""
        {(failed ? """<p role="alert">This code is wrong or too old. Check it, or start again on the device.</p>""" : "")}
        <form method="get" action="{Path}">
        <label for="user_code">Code on the device</label>
        <input id="user_code" name="user_code" autocomplete="off" inputmode="numeric" maxlength="40" required>
        <button>Continue</button>
        </form>
        """,
        failed ? StatusCodes.Status400BadRequest : StatusCodes.Status200OK);

    private static Page ConfirmPage(HttpContext http, Session session, string client, IEnumerable<string> scopes, IdentityOptions options) => new(
        $"Connect {client}?",
        $"""
        <p>Only go on if the device in front of you shows this code. {Page.Encode(client)} wants to:</p>
        {AuthorizePage.ScopeList(scopes, options)}
        <form method="post" action="{Path}">
        {session.Fields(http, Decide)}
        <button name="decision" value="allow">Connect</button>
        <button name="decision" value="deny" class="second">Do not connect</button>
        </form>
        """);
}
