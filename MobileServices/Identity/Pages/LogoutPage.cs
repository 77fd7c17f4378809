using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;

namespace MobileServices.Identity.Pages;

/// <summary>Ends the browser's session. Apps end theirs by revoking their refresh token.</summary>
internal static class LogoutPage
{
    public const string Path = $"{IdentityOptions.Path}/logout";

    public static async Task<IResult> HandleAsync(HttpContext http, Session session, CancellationToken ct)
    {
        await session.FindAsync(http, ct);
        try
        {
            if (await session.StepAsync(http) is null)
            {
                return Ask(http, session, StatusCodes.Status200OK);
            }
        }
        catch (AntiforgeryValidationException)
        {
            return Ask(http, session, StatusCodes.Status400BadRequest);
        }
        await http.SignOutAsync(Session.Scheme);
        return new Page("You are logged out", "<p>You can close this page.</p>");
    }

    private static Page Ask(HttpContext http, Session session, int status) => new(
        "Log out?",
        $"""<form method="post" action="{Path}">{session.Fields(http, "logout")}<button>Log out</button></form>""",
        status);
}
