using System.Net.Http.Json;
using System.Text.Json;
using BackendSystems.Erp;
using Dapper;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace MobileIntegration.Tests.BackendSystems;

/// <summary>The back office in this process, started by its own Program.cs on a real Kestrel at a free port.</summary>
internal sealed class BackOfficeHost : WebApplicationFactory<OrderService>
{
    private readonly (string Key, string Value)[] _settings;

    public BackOfficeHost(params (string Key, string Value)[] settings)
    {
        _settings = settings;
        UseKestrel(0);
        StartServer();
        Http = new HttpClient
        {
            BaseAddress = new(Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()),
        };
    }

    public HttpClient Http { get; }

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        foreach (var (key, value) in _settings)
        {
            builder.UseSetting(key, value);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Http.Dispose();
        }

        base.Dispose(disposing);
    }
}

/// <summary>All four systems on databases of their own, started once for the tests of this folder, which run one after the other.</summary>
public sealed class BackOffice : IAsyncLifetime, IDisposable
{
    private BackOfficeHost? _host;

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

    public static async Task ProblemAsync(HttpResponseMessage response, int status, string says)
    {
        var body = await response.Content.ReadAsStringAsync();
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        Assert.Contains(says, body, StringComparison.Ordinal);
    }
}

[CollectionDefinition(Name)]
public sealed class BackOfficeTests : ICollectionFixture<BackOffice>
{
    public const string Name = "back office";
}
