using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;
using Dapper;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Two replicas, of which one is killed while webhooks go out.</summary>
public sealed class WebhookCrashTests : IAsyncLifetime
{
    private const int Events = 600;
    private const int Kills = 4;
    private const string App = "com.example.crash";

    private readonly ConcurrentDictionary<string, int> _taken = [];
    private readonly PushProcesses _processes = new();
    private FakeNetwork _receiver = null!;
    private string _database = "";

    public async Task InitializeAsync()
    {
        _database = await TestPostgres.CreateDatabaseAsync();
        _receiver = await FakeNetwork.WebPushAsync();
        _receiver.Delay = TimeSpan.FromMilliseconds(30);
        _receiver.Otherwise = (http, _) =>
        {
            var number = _taken.AddOrUpdate(http.Request.Headers["webhook-id"].ToString(), 1, (_, count) => count + 1);
            http.Response.StatusCode = number is 1 && Random.Shared.Next(20) is 0 ? 503 : 204;
            return Task.CompletedTask;
        };
    }

    public async Task DisposeAsync()
    {
        _processes.Dispose();
        await _receiver.DisposeAsync();
    }

    [Fact]
    public async Task Killed_at_random_points_they_leave_no_event_out()
    {
        var random = new Random(7);
        var (stays, http) = await StartAsync();
        var (dies, other) = await StartAsync();
        using (var saved = await http.PutAsJsonAsync($"/push/apps/{App}/webhook", new { url = $"{_receiver.PlainAddress}/hook", events = new[] { "push.message.finished" } }))
        {
            Assert.True(saved.IsSuccessStatusCode, await saved.Content.ReadAsStringAsync());
        }
        await using var connection = new NpgsqlConnection(_database);
        await connection.ExecuteAsync(
            """
            insert into push.webhook_event (app_id, type, data, state) select @App, 'push.message.finished', jsonb_build_object('number', n), 'pending' from generate_series(1, @Events) n;
            notify push_due;
            """, new { App, Events });

        for (var kill = 1; kill <= Kills; kill++)
        {
            var until = Math.Min(_taken.Count + 20 + random.Next(100), Events);
            await Eventually.TrueAsync(() => _taken.Count >= until, TimeSpan.FromMinutes(2));
            // SIGKILL: it has no time for anything.
            dies.Kill();
            await dies.WaitForExitAsync();
            other.Dispose();
            (dies, other) = (stays, http);
            (stays, http) = await StartAsync();
        }
        await Eventually.TrueAsync(
            async () => await connection.ExecuteScalarAsync<long>("select count(*) from push.webhook_event where state = 'delivered'") is Events, TimeSpan.FromMinutes(3));
        other.Dispose();
        http.Dispose();

        var ids = (await connection.QueryAsync<string>("select id from push.webhook_event")).ToHashSet();
        Assert.Equal(Events, ids.Count);
        Assert.Equal(ids, [.. _taken.Keys]);
        // Twice only what a killed one had under way, twenty at most, and what had failed.
        Assert.InRange(_taken.Values.Count(times => times > 1), 0, (Kills * 20) + (Events / 5));
    }

    private Task<(Process Process, HttpClient Http)> StartAsync() => _processes.StartAsync(_database, ("Push__AllowPrivateEndpoints", "true"));
}
