using System.Collections.Immutable;
using Microsoft.AspNetCore;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.Extensions.Options;
using MobileServices.Identity.Tokens;
using OpenIddict.Abstractions;
using OpenIddict.Server.AspNetCore;
using static OpenIddict.Abstractions.OpenIddictConstants;

namespace MobileServices.Identity.Pages;

/// <summary>
/// The authorization endpoint: log in, consent, back to the client. OpenIddict has checked the client, its redirect and PKCE before; every form
/// leads here again with the whole request, so that there is no address to come back to which somebody could forge.
/// </summary>
internal static class AuthorizePage
{
    public const string Path = $"{IdentityOptions.Path}/connect/authorize";
    private const string Consent = "consent";

    public static async Task<IResult> HandleAsync(
        HttpContext http, Session session, IOpenIddictApplicationManager clients, IOptions<IdentityOptions> options, TimeProvider time, CancellationToken ct)
    {
        if (http.GetOpenIddictServerResponse() is { Error: not null } fault)
        {
            return Fault(fault);
        }
        var request = http.GetOpenIddictServerRequest()!;
        if (!DeviceLogins.TryRead(request, out var device))
        {
            return TokenEndpoints.Refuse(Errors.InvalidRequest, DeviceLogins.Malformed);
        }
        var client = await clients.FindByClientIdAsync(request.ClientId!, ct);
        var name = await clients.GetDisplayNameAsync(client!, ct) ?? request.ClientId!;
        var target = Page.TargetOf(request.RedirectUri);
        var loggedIn = await session.FindAsync(http, ct);
        string? step;
        try
        {
            step = await session.StepAsync(http);
        }
        catch (AntiforgeryValidationException)
        {
            return session.LoginPage(http, Path, name, target, failed: false) with { Status = StatusCodes.Status400BadRequest };
        }

        var now = step is Session.Login;
        if (now)
        {
            loggedIn = await session.LogInAsync(http, ct);
        }
        if (loggedIn is null || (!now && MustLogInAgain(request, loggedIn, time)))
        {
            return request.HasPromptValue(PromptValues.None)
                ? TokenEndpoints.Refuse(Errors.LoginRequired, "The user is not logged in.")
                : session.LoginPage(http, Path, name, target, failed: now);
        }

        var mustAsk = request.HasPromptValue(PromptValues.Consent) || !await clients.HasConsentTypeAsync(client!, ConsentTypes.Implicit, ct);
        if (mustAsk && step is not Consent)
        {
            return request.HasPromptValue(PromptValues.None)
                ? TokenEndpoints.Refuse(Errors.ConsentRequired, "The user has to be asked.")
                : ConsentPage(http, session, name, request.GetScopes(), loggedIn, options.Value, target, now);
        }
        if (mustAsk && http.Request.Form["decision"] != "allow")
        {
            return TokenEndpoints.Refuse(Errors.AccessDenied, "The user did not allow it.");
        }
        return Results.SignIn(
            TokenEndpoints.PrincipalOf(loggedIn.Account, request.GetScopes(), loggedIn.At, device), null, OpenIddictServerAspNetCoreDefaults.AuthenticationScheme);
    }

    public static Page Fault(OpenIddictResponse fault) => new(
        "This request cannot be answered",
        $"""<p role="alert">{Page.Encode(fault.ErrorDescription ?? fault.Error)}</p><p>Go back to the app and try again. ({Page.Encode(fault.Error)})</p>""",
        StatusCodes.Status400BadRequest);

    public static string ScopeList(IEnumerable<string> scopes, IdentityOptions options) =>
        $"<ul>{string.Concat(scopes.Select(scope => $"<li>{Page.Encode(options.Describe(scope))}</li>"))}</ul>";

    private static bool MustLogInAgain(OpenIddictRequest request, LoggedIn loggedIn, TimeProvider time) =>
        request.HasPromptValue(PromptValues.Login)
        || (request.MaxAge is { } age && time.GetUtcNow() - loggedIn.At > TimeSpan.FromSeconds(Math.Clamp(age, 0, int.MaxValue)));

    private static Page ConsentPage(
        HttpContext http, Session session, string client, ImmutableArray<string> scopes, LoggedIn loggedIn, IdentityOptions options,
        string? target, bool now) => new(
        $"{client} asks for your consent",
        $"""
        <p>You are logged in as {Page.Encode(loggedIn.Account.DisplayName)}. {Page.Encode(client)} wants to:</p>
        {ScopeList(scopes, options)}
        <form method="post" action="{Path}">
        {session.Fields(http, Consent, now)}
        <button name="decision" value="allow">Allow</button>
        <button name="decision" value="deny" class="second">Do not allow</button>
        </form>
        """,
        FormTarget: target);
}
