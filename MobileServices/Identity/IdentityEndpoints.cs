using MobileIntegration.Contracts;
using MobileServices.Identity.Accounts;
using MobileServices.Identity.Pages;
using MobileServices.Identity.Tokens;

namespace MobileServices.Identity;

public static class IdentityEndpoints
{
    private static readonly string[] GetAndPost = ["GET", "POST"];

    /// <summary>The endpoints with something of ours in them; OpenIddict answers discovery, keys, revocation, introspection and device authorization.</summary>
    public static void MapIdentity(this IEndpointRouteBuilder app)
    {
        ArgumentNullException.ThrowIfNull(app);
        if (IdentitySetup.ExternalAuthority(app.ServiceProvider.GetRequiredService<IConfiguration>()) is { } authority)
        {
            app.ServiceProvider.GetRequiredService<ILoggerFactory>().CreateLogger("MobileServices.Identity")
                .LogInformation("The identity slice is not run: Authentication:Authority says that tokens come from {Authority}", authority);
            return;
        }
        var pages = app.MapGroup("").ExcludeFromDescription();
        pages.MapMethods(AuthorizePage.Path, GetAndPost, AuthorizePage.HandleAsync);
        pages.MapMethods(DevicePage.Path, GetAndPost, DevicePage.HandleAsync);
        pages.MapMethods(LogoutPage.Path, GetAndPost, LogoutPage.HandleAsync);
        pages.MapPost($"{IdentityOptions.Path}/connect/token", TokenEndpoints.TokenAsync);
        pages.MapMethods($"{IdentityOptions.Path}/connect/userinfo", GetAndPost, TokenEndpoints.UserInfoAsync);
        app.MapGet(Revocations.FullPath, RevocationFeed.GetAsync).AllowAnonymous().ExcludeFromDescription();
        app.MapGroup(IdentityOptions.Path).MapAccounts();
    }
}
