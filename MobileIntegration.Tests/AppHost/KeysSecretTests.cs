using System.Net.Http.Json;
using System.Text.Json;
using MobileIntegration.Tests.MobileServices;
using Npgsql;

namespace MobileIntegration.Tests.AppHost;

/// <summary>The secret of private keys is made at the first run and is the same in the next.</summary>
[Collection(nameof(SystemTests))]
public sealed class KeysSecretTests : IDisposable
{
    private readonly string _data = Directory.CreateTempSubdirectory("keys-secret-").FullName;

    public void Dispose() => Directory.Delete(_data, recursive: true);

    [Fact]
    public async Task What_one_run_seals_in_the_database_the_next_one_opens()
    {
        var (id, key) = await RunAsync();
        Assert.Equal(1, key[0]);

        var next = await RunAsync();
        Assert.Equal((id, Convert.ToHexString(key)), (next.Id, Convert.ToHexString(next.Key)));
    }

    private async Task<(string Id, byte[] Key)> RunAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.MobileIntegration_AppHost>(["only=identity", $"data-folder={_data}"], patience.Token);
        await using var app = await builder.BuildAsync(patience.Token);
        await app.StartAsync(patience.Token);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("identity", patience.Token);
        using var identity = app.CreateHttpClient("identity");
        var published = await identity.GetFromJsonAsync<JsonElement>("/identity/.well-known/jwks", patience.Token);
        await using var connection = new NpgsqlConnection(await app.GetConnectionStringAsync("mobiledb", patience.Token));
        await connection.OpenAsync(patience.Token);
        await using var command = new NpgsqlCommand("select private_key from identity.signing_key", connection);
        return (Assert.Single(published.GetProperty("keys").EnumerateArray()).Text("kid"), (byte[])(await command.ExecuteScalarAsync(patience.Token))!);
    }
}
