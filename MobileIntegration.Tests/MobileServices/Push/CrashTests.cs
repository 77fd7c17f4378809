using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>A process that is killed while it sends.</summary>
public sealed class CrashTests : IAsyncLifetime
{
    private const int Kills = 4;
    private const string App = "com.example.crash";

    /// <summary>Each gets two messages: <c>PUSH_CRASH_DEVICES=10000</c> for the long run.</summary>
    private static readonly int Devices = int.Parse(Environment.GetEnvironmentVariable("PUSH_CRASH_DEVICES") ?? "1000", CultureInfo.InvariantCulture);

    private readonly CrashScene _scene = new(App, TimeSpan.FromMilliseconds(10), Fault, ("Push__InFlight", "10"), ("Push__Batch", "100"));

    public Task InitializeAsync() => _scene.InitializeAsync();

    public async Task DisposeAsync() => await _scene.DisposeAsync();

    [Fact]
    public async Task Killed_at_random_points_it_sends_nothing_twice_leaves_nobody_out_and_knows_what_it_does_not_know()
    {
        var random = new Random(4);
        var (process, http) = await _scene.StartAsync();
        await _scene.SaveCredentialsAsync(http);
        await _scene.RegisterAsync(Devices);
        var once = await CrashScene.SendAsync(http, new { app = App, audience = "all", content = new { title = "Once" } });
        var collapsing = await CrashScene.SendAsync(http, new { app = App, audience = "all", content = new { title = "Score" }, collapseKey = "score" });

        for (var kill = 1; kill <= Kills; kill++)
        {
            var until = _scene.Taken.Count + Devices / 20 + random.Next(Devices / 4);
            await Eventually.TrueAsync(() => _scene.Taken.Count >= until || _scene.Taken.Count > Devices * 3 / 2, TimeSpan.FromMinutes(2));
            // SIGKILL: it has no time for anything.
            process.Kill();
            await process.WaitForExitAsync();
            http.Dispose();
            (process, http) = await _scene.StartAsync();
        }
        foreach (var message in new[] { once, collapsing })
        {
            await Eventually.TrueAsync(async () => (await http.GetFromJsonAsync<JsonElement>($"/push/messages/{message}")).Text("state") is "completed", TimeSpan.FromMinutes(20));
        }
        http.Dispose();

        var rows = await _scene.RowsAsync(once);
        Assert.Equal(Devices, rows.Count);
        foreach (var (address, state) in rows)
        {
            var taken = _scene.Taken.GetValueOrDefault((address, once));
            var isRight = state switch
            {
                "accepted" => taken is 1,
                "dead" => taken is 0,
                // It says that it does not know.
                "unknown" => taken is 0 or 1,
                _ => false,
            };
            Assert.True(isRight, $"{state}, and taken {taken} times");
        }
        var unknown = rows.Count(row => row.State is "unknown");
        Assert.InRange(unknown, rows.Count(row => Fault(row.Address) is 3), Devices / 2);
        Assert.Equal(rows.Count(row => Fault(row.Address) is 2), rows.Count(row => row.State is "dead") + rows.Count(row => row.State is "unknown" && Fault(row.Address) is 2));

        // Where a second one replaces the first, nothing stays unknown. An address may have been found dead by the first message before the second looked for its devices.
        var replaced = await _scene.RowsAsync(collapsing);
        Assert.Equal(rows.Count(row => Fault(row.Address) is not 2), replaced.Count(row => Fault(row.Address) is not 2));
        Assert.All(replaced, row => Assert.True(row.State switch
        {
            "accepted" => _scene.Taken.GetValueOrDefault((row.Address, collapsing)) >= 1,
            "dead" => _scene.Taken.GetValueOrDefault((row.Address, collapsing)) is 0,
            _ => false,
        }, row.State));
    }

    /// <summary>Of some of the addresses.</summary>
    private static int Fault(string address) => address[^1] is '7' or '8' ? 1 : address[^2..] is "03" or "04" ? 2 : address[^2..] is "05" or "06" ? 3 : 0;
}
