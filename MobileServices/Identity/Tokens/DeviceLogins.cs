using System.Security.Claims;
using Dapper;
using Npgsql;
using OpenIddict.Abstractions;
using static OpenIddict.Abstractions.OpenIddictConstants;

namespace MobileServices.Identity.Tokens;

/// <summary>
/// Which device a login is on: what the app sends as <c>device_id</c> with its authorization request, or else with a token request. Once known it stays;
/// access tokens name it, and the login ends when that device is blocked.
/// </summary>
internal sealed class DeviceLogins(NpgsqlDataSource database, BlockedDevices blocked)
{
    /// <summary>The parameter and the claim.</summary>
    public const string Name = "device_id";

    public const string Malformed = "The parameter device_id must be the installation's UUID, such as 3f2504e0-4f89-41d3-9a0c-0305e82c3301.";

    /// <returns>False when there is one that cannot be read.</returns>
    public static bool TryRead(OpenIddictRequest request, out Guid? device)
    {
        device = null;
        if (request.GetParameter(Name) is not { } sent)
        {
            return true;
        }
        if (!Guid.TryParseExact((string?)sent, "D", out var read) || read == Guid.Empty)
        {
            return false;
        }
        device = read;
        return true;
    }

    /// <returns>The error of the protocol, and its description; null when tokens may be given.</returns>
    public async Task<(string Error, string Description)?> TieAsync(OpenIddictRequest request, ClaimsPrincipal login, CancellationToken ct)
    {
        if (!TryRead(request, out var sent))
        {
            return (Errors.InvalidRequest, Malformed);
        }
        var known = Guid.TryParse(login.GetClaim(Name), out var named) ? named : (Guid?)null;
        if ((known ?? sent) is not { } device)
        {
            return null;
        }
        if (known is null || !request.IsRefreshTokenGrantType())
        {
            device = await KeepAsync(login.GetAuthorizationId()!, device, ct);
        }
        if (sent is not null && sent != device)
        {
            return (Errors.InvalidGrant, "The login is on another device than device_id names.");
        }
        // After it was written down: a device that is blocked from now on finds it there.
        if (blocked.Holds(device))
        {
            return (Errors.InvalidGrant, "The device is blocked.");
        }
        login.SetClaim(Name, device.ToString());
        return null;
    }

    /// <summary>On a connection of its own, so that it is there for all to see before tokens are given.</summary>
    /// <returns>The device of the login, whichever was first.</returns>
    private async Task<Guid> KeepAsync(string login, Guid device, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<Guid>(new CommandDefinition(
            """
            insert into identity.device_login as d (authorization_id, device_id) values (@login, @device)
            on conflict (authorization_id) do update set device_id = d.device_id
            returning device_id
            """,
            new { login = Guid.Parse(login), device }, cancellationToken: ct));
    }
}
