using System.Security.Claims;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace MobileIntegration.ServiceDefaults;

/// <summary>What access tokens may allow; the names are in the tokens' <c>scope</c>, in the gateway's routes and at the identity provider.</summary>
public static class Scopes
{
    /// <summary>The home page of the token's customer.</summary>
    public const string Home = "home";

    /// <summary>What can be bought: the same for everybody.</summary>
    public const string Catalog = "catalog";

    /// <summary>The token's customer's orders: to see, place and cancel them.</summary>
    public const string Orders = "orders";

    /// <summary>What is known of the token's customer, and changing it.</summary>
    public const string Account = "account";

    /// <summary>Commands to the back office, and their dead letters: for operators.</summary>
    public const string IntegrationAdmin = "integration.admin";

    /// <summary>Registering devices.</summary>
    public const string Devices = "devices";

    /// <summary>The user's own databases, and those that users share.</summary>
    public const string Sync = "sync";

    /// <summary>Which documents are in conflict and how far devices are, of all users, without what is in the documents: for administrators.</summary>
    public const string SyncAdmin = "sync.admin";

    /// <summary>The rules about apps, and every device: for administrators.</summary>
    public const string DevicesAdmin = "devices.admin";

    /// <summary>Registering for push messages, and their preferences.</summary>
    public const string Push = "push";

    /// <summary>Sending push messages, and the networks of apps: for back-office clients.</summary>
    public const string PushSend = "push.send";

    /// <summary>Feature flags and configuration values of all apps: for administrators.</summary>
    public const string ConfigurationAdmin = "configuration.admin";

    /// <summary>What apps do, in numbers: for back-office clients.</summary>
    public const string Analytics = "analytics";

    /// <summary>Apps whose events are taken, their write keys, and the data of single people: for administrators.</summary>
    public const string AnalyticsAdmin = "analytics.admin";

    /// <summary>Client applications of the gateway and their API keys: for administrators.</summary>
    public const string GatewayAdmin = "gateway.admin";

    /// <summary>Every customer's data, not only that of the token's customer: for back-office clients.</summary>
    public const string Customers = "customers";

    /// <summary>Managing accounts: for back-office clients.</summary>
    public const string Users = "users";

    /// <summary>All of them, each with what it allows in words for the user who is asked.</summary>
    public static IReadOnlyDictionary<string, string> Descriptions { get; } = new Dictionary<string, string>
    {
        [Home] = "See your home page: profile, orders and suggestions",
        [Catalog] = "See products and stock",
        [Orders] = "See, place and cancel your orders",
        [Account] = "See and change your profile, addresses, preferences and consents",
        [IntegrationAdmin] = "See and replay commands to the back office",
        [Devices] = "Register this device",
        [Sync] = "Keep your data in step on all your devices",
        [SyncAdmin] = "See which documents of all users are in conflict, and how far their devices are, but no content",
        [DevicesAdmin] = "Manage the rules about apps, and every device",
        [Push] = "Receive push messages on this device",
        [PushSend] = "Send push messages to all devices, and manage the networks of apps",
        [ConfigurationAdmin] = "Manage feature flags and configuration values of all apps",
        [Analytics] = "See what apps are used for, in numbers",
        [AnalyticsAdmin] = "Manage the apps whose events are taken, and erase and export the data of one person",
        [GatewayAdmin] = "Manage client applications and their API keys",
        [Customers] = "See the data of all customers",
        [Users] = "Manage the accounts of all users",
    };
}

/// <summary>Whose data a token allows.</summary>
public static class CustomerAccess
{
    /// <summary>The claim of an access token that names the customer whom its user is, such as <c>C-000123</c>.</summary>
    public const string Claim = "customer";

    /// <returns>Null when the token is not that of a customer.</returns>
    public static string? CustomerId(this ClaimsPrincipal user)
    {
        ArgumentNullException.ThrowIfNull(user);
        return user.FindFirst(Claim)?.Value;
    }

    /// <summary>A customer sees what is his own, a back-office client with the scope <see cref="Scopes.Customers"/> everything.</summary>
    public static bool MaySee(this ClaimsPrincipal user, string customerId) => user.CustomerId() == customerId || user.HasScope(Scopes.Customers);

    /// <summary>The 403 of a token for which <see cref="MaySee"/> is false.</summary>
    public static ProblemHttpResult RefuseCustomer(this HttpContext http)
    {
        ArgumentNullException.ThrowIfNull(http);
        http.Response.Headers.WWWAuthenticate = $"Bearer error=\"insufficient_scope\", scope=\"{Scopes.Customers}\"";
        return TypedResults.Problem(
            http.User.CustomerId() is null
                ? $"The access token is not that of a customer. Link the account to one, or use a client with the scope '{Scopes.Customers}'."
                : $"The access token is that of another customer. Only clients with the scope '{Scopes.Customers}' see the data of all.",
            statusCode: StatusCodes.Status403Forbidden);
    }
}
