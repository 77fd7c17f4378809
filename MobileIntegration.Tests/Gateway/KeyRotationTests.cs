using Dapper;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using MobileIntegration.Tests.MobileServices;
using MobileServices.Identity.Keys;
using Npgsql;

namespace MobileIntegration.Tests.Gateway;

/// <summary>The identity service's keys turn over while two gateways take its tokens.</summary>
public sealed class KeyRotationTests(LoginGateways system) : IClassFixture<LoginGateways>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_key_that_was_published_ahead_costs_no_call_and_one_that_was_not_is_known_within_a_minute()
    {
        var before = await system.LogInAsync();
        await PassesAsync(before);

        // As it turns over by itself: a day ahead, in which every gateway and service fetches the keys anew.
        await TurnAsync("update identity.signing_key set use_from = use_from - interval '89 days 1 hour'");
        foreach (var services in (IServiceProvider[])[system.Mobile.Services, .. system.Gateways.Select(gateway => gateway.Services)])
        {
            await Eventually.TrueAsync(async () => await KeysAsync(services) is 2, Patience);
        }
        await TurnAsync("update identity.signing_key set use_from = now() where use_from > now()");
        var after = await system.LogInAsync();
        Assert.NotEqual(Key(before), Key(after));
        await PassesAsync(after);
        await PassesAsync(before);

        // As an operator does it whose keys were stolen: gone, and the next one signs at once.
        await TurnAsync("delete from identity.signing_key");
        var anew = await system.TokensAsync(Guid.NewGuid());
        foreach (var gateway in system.Gateways)
        {
            await Eventually.TrueAsync(async () => await LoginGateways.StatusAsync(gateway.Http, anew.Text("access_token")) is 200, Patience);
            Assert.Equal(401, await LoginGateways.StatusAsync(gateway.Http, after.Token));
            Assert.Equal(401, await LoginGateways.StatusAsync(gateway.Http, before.Token));
        }
    }

    private static string Key(LoginGateways.Login login) => login.Token.Part(0).Text("kid");

    private async Task PassesAsync(LoginGateways.Login login)
    {
        foreach (var gateway in system.Gateways)
        {
            Assert.Equal(200, await LoginGateways.StatusAsync(gateway.Http, login.Token));
        }
    }

    private async Task TurnAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(system.Database);
        await connection.ExecuteAsync(sql);
        system.Mobile.Services.GetRequiredService<SigningKeys>().Refresh();
    }

    /// <summary>As many as are here once they have been asked for again, which happens every hour.</summary>
    private static async Task<int> KeysAsync(IServiceProvider services)
    {
        var configuration = services.GetRequiredService<IOptionsMonitor<JwtBearerOptions>>().Get(JwtBearerDefaults.AuthenticationScheme).ConfigurationManager!;
        configuration.RequestRefresh();
        return (await configuration.GetConfigurationAsync(default)).SigningKeys.Count;
    }
}
