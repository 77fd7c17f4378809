using System.Globalization;
using System.Security.Claims;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using MobileServices.Identity.Accounts;
using static OpenIddict.Abstractions.OpenIddictConstants;

namespace MobileServices.Identity.Pages;

internal sealed record LoggedIn(Account Account, DateTimeOffset At);

/// <summary>Who sits at the browser, and the login form that finds out.</summary>
internal sealed class Session(AccountStore accounts, IAntiforgery antiforgery, TimeProvider time)
{
    public const string Scheme = "identity.session";
    public const string Step = "step";
    public const string Login = "login";
    private const string Stamp = "stamp";
    private static readonly string[] Own = [Step, "username", "password", "decision", "__RequestVerificationToken"];

    /// <returns>The step that a form of ours stands for, once it is sure that a page of ours sent it; null for any other request.</returns>
    /// <exception cref="AntiforgeryValidationException">The form is not from a page that this browser got from here.</exception>
    public async Task<string?> StepAsync(HttpContext http)
    {
        if (!http.Request.HasFormContentType || http.Request.Form[Step].ToString() is not { Length: > 0 } step)
        {
            return null;
        }
        await antiforgery.ValidateRequestAsync(http);
        return step;
    }

    /// <summary>Whom the browser's cookie names. Forms are bound to it, so it comes before <see cref="StepAsync"/>.</summary>
    public async Task<LoggedIn?> FindAsync(HttpContext http, CancellationToken ct)
    {
        var user = (await http.AuthenticateAsync(Scheme)).Principal;
        if (user is null || await accounts.FindAsync(user.FindFirstValue(Claims.Subject), ct) is not { } account
            || user.FindFirstValue(Stamp) != account.Stamp.ToString())
        {
            return null;
        }
        http.User = user;
        return new(account, DateTimeOffset.FromUnixTimeSeconds(long.Parse(user.FindFirstValue(Claims.AuthenticationTime)!, CultureInfo.InvariantCulture)));
    }

    /// <summary>Checks the login form. The browser gets a cookie when it is right.</summary>
    public async Task<LoggedIn?> LogInAsync(HttpContext http, CancellationToken ct)
    {
        var form = http.Request.Form;
        if (await accounts.LogInAsync(form["username"].ToString().Trim(), form["password"].ToString(), ct) is not { } account)
        {
            return null;
        }
        var now = time.GetUtcNow();
        http.User = new(new ClaimsIdentity(
            [
                new(Claims.Subject, account.Id.ToString()),
                new(Stamp, account.Stamp.ToString()),
                new(Claims.AuthenticationTime, now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture)),
            ], Scheme));
        await http.SignInAsync(Scheme, http.User);
        return new(account, now);
    }

    public Page LoginPage(HttpContext http, string action, string client, string? formTarget, bool failed)
    {
        var alert = failed
            ? """<p role="alert">The name or the password is wrong, or there were too many attempts. Check both, or try again in a few minutes.</p>"""
            : "";
        return new(
            $"Log in to {client}",
            $"""
            {alert}
            <form method="post" action="{action}">
            {Fields(http, Login)}
            <label for="username">User name</label>
            <input id="username" name="username" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="100" required>
            <label for="password">Password</label>
            <input id="password" name="password" type="password" autocomplete="current-password" maxlength="256" required>
            <button>Log in</button>
            </form>
            """,
            failed ? StatusCodes.Status400BadRequest : StatusCodes.Status200OK,
            formTarget);
    }

    /// <summary>The hidden fields of a form of ours: what it is for, that it is ours, and the client's request as it came.</summary>
    public string Fields(HttpContext http, string step, bool loggedInNow = false)
    {
        var tokens = antiforgery.GetAndStoreTokens(http);
        var request = http.Request.HasFormContentType ? http.Request.Form.AsEnumerable() : http.Request.Query;
        var carried = request
            .Where(field => !Own.Contains(field.Key, StringComparer.Ordinal))
            .SelectMany(field => field.Value.Select(value => KeyValuePair.Create(field.Key, value ?? "")))
            .Select(field => loggedInNow && field.Key is Parameters.Prompt
                ? KeyValuePair.Create(field.Key, string.Join(' ', field.Value.Split(' ').Where(value => value is not PromptValues.Login)))
                : field)
            .Where(field => field is not { Key: Parameters.Prompt, Value: "" });
        return Page.Hidden([.. carried, new(Step, step), new(tokens.FormFieldName, tokens.RequestToken!)]);
    }
}
