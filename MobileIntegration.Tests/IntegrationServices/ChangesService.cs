using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Dapper;
using IntegrationServices.Customers;
using Npgsql;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>The slice of changes on a database and a drop folder of its own, its webhooks ordered from the back office.</summary>
public sealed class ChangesService(BackOffice office) : IAsyncLifetime
{
    private readonly int _port = TestServices.FreePort();

    internal TestService<Crm> Service { get; private set; } = null!;

    internal string Database { get; private set; } = null!;

    internal string Folder { get; } = Directory.CreateTempSubdirectory("changes-").FullName;

    public async Task InitializeAsync()
    {
        Database = await TestPostgres.CreateDatabaseAsync();
        Service = new(
            _port,
            ("Run", "changes"), ("ConnectionStrings:wmsdb", office.WmsDatabase), ("ConnectionStrings:integrationdb", Database),
            ("Changes:Address", $"http://127.0.0.1:{_port}"), ("Changes:DropFolder", Folder), ("Changes:SettleSeconds", "0.05"), ("Changes:PollSeconds", "3600"),
            ("Backends:wms:TimeoutSeconds", "30"), ("Backends:pim:TimeoutSeconds", "30"),
            TestServices.At("crm", office.Backends.Address), TestServices.At("erp", office.Backends.Address),
            TestServices.At("pim", office.Backends.Address), TestServices.At("wms", office.Backends.Address));
        foreach (var system in (string[])["crm", "erp", "pim", "wms"])
        {
            await Eventually.TrueAsync(
                async () => (await office.Backends.Http.GetStringAsync($"/{system}/webhooks")).Contains($":{_port}/webhooks/{system}", StringComparison.Ordinal),
                TimeSpan.FromMinutes(2));
        }
        foreach (var system in (string[])["pim", "wms"])
        {
            await Eventually.TrueAsync(() => AnyAsync("changes.mark", $"system = '{system}'"), TimeSpan.FromMinutes(2));
        }
    }

    public async Task DisposeAsync()
    {
        foreach (var system in (string[])["crm", "erp", "pim", "wms"])
        {
            var ordered = await office.Backends.Http.GetFromJsonAsync<JsonElement>($"/{system}/webhooks");
            foreach (var mine in ordered.GetProperty("items").EnumerateArray().Where(one => one.GetProperty("url").GetString()!.Contains($":{_port}/", StringComparison.Ordinal)))
            {
                await office.Backends.Http.DeleteAsync($"/{system}/webhooks/{mine.GetProperty("id").GetGuid()}");
            }
        }
        await Service.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }

    /// <summary>Sends a webhook as a backend does, signed by the secret it was ordered with.</summary>
    internal async Task<HttpResponseMessage> SendAsync(string system, string body, string? id = null, TimeSpan age = default, string? signature = null, string? signed = null)
    {
        id ??= $"msg_{Guid.NewGuid():n}";
        await using var database = new NpgsqlConnection(Database);
        var secret = await database.QuerySingleAsync<string>("select secret from changes.secret where system = @system", new { system });
        using var http = new HttpClient { BaseAddress = Service.Address };
        return await http.SendAsync(Signed(secret, system, body, id, DateTimeOffset.UtcNow - age, signature, signed));
    }

    internal static HttpRequestMessage Signed(
        string secret, string system, string body, string id, DateTimeOffset at, string? signature = null, string? signed = null)
    {
        var timestamp = at.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        var hash = HMACSHA256.HashData(Convert.FromBase64String(secret["whsec_".Length..]), Encoding.UTF8.GetBytes($"{id}.{timestamp}.{signed ?? body}"));
        var request = new HttpRequestMessage(HttpMethod.Post, $"/webhooks/{system}") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Add("webhook-id", id);
        request.Headers.Add("webhook-timestamp", timestamp);
        request.Headers.TryAddWithoutValidation("webhook-signature", signature ?? $"v1,{Convert.ToBase64String(hash)}");
        return request;
    }

    internal async Task TakenAsync(string system, string body, string? id = null) =>
        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync(system, body, id)).StatusCode);

    /// <summary>A webhook of the Erp.</summary>
    internal static string Order(string order, int revision, string status = "PICKED") =>
        $$"""{"type":"order.updated","timestamp":"2026-07-01T08:00:00.000Z","data":{"orderNo":"{{order}}","customerNo":"123","status":"{{status}}","previousStatus":"OPEN","revision":{{revision}},"unheardOf":1} }""";

    internal async Task<List<(string Type, string Subject, long Version, string Data)>> EventsAsync(string like)
    {
        await using var database = new NpgsqlConnection(Database);
        return (await database.QueryAsync<(string, string, long, string)>(
            "select type, subject, version, data::text from events.event where subject like @like order by number", new { like })).AsList();
    }

    internal async Task<List<(string Reference, string Reason, string Status)>> SetAsideAsync(string like)
    {
        await using var database = new NpgsqlConnection(Database);
        return (await database.QueryAsync<(string, string, string)>(
            "select reference, reason, status from changes.set_aside where reference like @like order by id", new { like })).AsList();
    }

    internal async Task<bool> AnyAsync(string table, string where)
    {
        await using var database = new NpgsqlConnection(Database);
        return await database.ExecuteScalarAsync<bool>($"select exists (select from {table} where {where})");
    }
}
