using System.Net.Http.Json;
using System.Text.Json;
using BackendSystems.Erp;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.BackendSystems;

/// <summary>All four systems on databases of their own, started once for the tests of this folder, which run one after the other.</summary>
public sealed class BackOffice : IAsyncLifetime, IDisposable
{
    private TestService<OrderService>? _host;

    public HttpClient Http => _host!.Http;

    public string BackendDb { get; private set; } = "";

    public string WmsDb { get; private set; } = "";

    public string DropFolder { get; } = Path.Combine(Path.GetTempPath(), $"wms-drop-{Guid.NewGuid():n}");

    public async Task InitializeAsync()
    {
        BackendDb = await TestPostgres.CreateDatabaseAsync();
        WmsDb = await TestPostgres.CreateDatabaseAsync();
        _host = new(
            ("ConnectionStrings:backenddb", BackendDb),
            ("ConnectionStrings:wmsdb", WmsDb),
            ("Wms:DropFolder", DropFolder),
            ("Webhooks:AllowPrivateTargets", "true"),
            ("Webhooks:FirstRetry", "00:00:00.020"));
    }

    public async Task DisposeAsync() => await _host!.DisposeAsync();

    public void Dispose()
    {
        _host?.Dispose();
        Directory.Delete(DropFolder, recursive: true);
    }

    public async Task<JsonElement> GetAsync(string path) => await Http.GetFromJsonAsync<JsonElement>(path);

    public async Task<JsonElement> PostAsync(string path, object body)
    {
        using var response = await Http.PostAsJsonAsync(path, body);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    /// <summary>The ids that a simulation changed.</summary>
    public async Task<string[]> SimulateAsync(string what, int count, int seed)
    {
        var answer = await PostAsync(what, new { count, seed });
        return [.. answer.GetProperty("changed").EnumerateArray().Select(id => id.GetString()!)];
    }

    public static async Task<T> ScalarAsync<T>(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(database);
        return (await connection.ExecuteScalarAsync<T>(sql))!;
    }

    public static async Task ProblemAsync(HttpResponseMessage response, int status, string says) =>
        Assert.Contains(says, (await response.ProblemAsync(status)).ToString(), StringComparison.Ordinal);
}

[CollectionDefinition(Name)]
public sealed class BackOfficeTests : ICollectionFixture<BackOffice>
{
    public const string Name = "back office";
}
