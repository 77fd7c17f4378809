using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Two processes share the work, and one after the other, or both, are killed while they send.</summary>
public sealed class TwoReplicaCrashTests : IAsyncLifetime
{
    private const string App = "com.example.replicas";

    /// <summary>Each gets two messages for each kill: <c>PUSH_CRASH_DEVICES=10000</c> for the long run.</summary>
    private static readonly int Devices = int.Parse(Environment.GetEnvironmentVariable("PUSH_CRASH_DEVICES") ?? "400", CultureInfo.InvariantCulture);

    private readonly CrashScene _scene = new(App, TimeSpan.FromMilliseconds(50), Fault, ("Push__InFlight", "5"), ("Push__Batch", "10"));

    public Task InitializeAsync() => _scene.InitializeAsync();

    public async Task DisposeAsync() => await _scene.DisposeAsync();

    [Fact]
    public async Task Whichever_is_killed_nobody_gets_it_twice_nobody_is_left_out_and_the_ledger_says_what_the_networks_saw()
    {
        var random = new Random(11);
        var replicas = await Task.WhenAll(_scene.StartAsync(), _scene.StartAsync());
        await _scene.SaveCredentialsAsync(replicas[0].Http);
        foreach (var victims in (int[][])[[0], [1], [0, 1]])
        {
            // Also those that were found dead.
            await _scene.RegisterAsync(Devices);
            var once = await CrashScene.SendAsync(replicas[0].Http, new { app = App, audience = "all", content = new { title = "Once" } });
            var collapsing = await CrashScene.SendAsync(replicas[1].Http, new { app = App, audience = "all", content = new { title = "Score" }, collapseKey = "score" });
            var until = _scene.Taken.Count + (Devices / 20) + random.Next(Devices);
            await Eventually.TrueAsync(() => _scene.Taken.Count >= until, TimeSpan.FromMinutes(2));
            foreach (var victim in victims)
            {
                // SIGKILL: it has no time for anything.
                replicas[victim].Process.Kill();
                await replicas[victim].Process.WaitForExitAsync();
                replicas[victim].Http.Dispose();
            }
            if (victims.Length is 2)
            {
                Assert.True(await _scene.CountAsync("push.batch") > 0, "They were killed when they had nothing to do.");
            }
            foreach (var (victim, started) in victims.Zip(await Task.WhenAll(victims.Select(_ => _scene.StartAsync()))))
            {
                replicas[victim] = started;
            }
            foreach (var message in new[] { once, collapsing })
            {
                JsonElement state = default;
                await Eventually.TrueAsync(async () => (state = await replicas[0].Http.GetFromJsonAsync<JsonElement>($"/push/messages/{message}")).Text("state") is "completed", TimeSpan.FromMinutes(20));
                Assert.Equal((await _scene.RowsAsync(message)).CountBy(row => row.State).ToDictionary(count => count.Key, count => (long)count.Value), PushService.Counts(state));
            }
            await CheckAsync(once, collapsing);
        }
    }

    private async Task CheckAsync(Guid once, Guid collapsing)
    {
        var rows = await _scene.RowsAsync(once);
        Assert.Equal(Devices, rows.Count);
        foreach (var (address, state) in rows)
        {
            var taken = _scene.Taken.GetValueOrDefault((address, once));
            var isRight = (state, Fault(address)) switch
            {
                ("accepted", 0 or 1) => taken is 1,
                ("dead", 2) => taken is 0,
                // It says that it does not know.
                ("unknown", _) => taken is 0 or 1,
                _ => false,
            };
            Assert.True(isRight, $"{address}: {state}, and taken {taken} times");
        }
        Assert.InRange(rows.Count(row => row.State is "unknown"), rows.Count(row => Fault(row.Address) is 3), Devices / 2);

        // Where a second one replaces the first, nothing stays unknown, and nobody has less than one. An address may have been found dead before its devices were looked for.
        var replaced = await _scene.RowsAsync(collapsing);
        Assert.All(replaced, row => Assert.True((row.State, Fault(row.Address)) switch
        {
            ("accepted", 0 or 1 or 3) => _scene.Taken.GetValueOrDefault((row.Address, collapsing)) >= 1,
            ("dead", 2) => true,
            _ => false,
        }, $"{row.Address}: {row.State}"));
        Assert.Equal(rows.Count(row => Fault(row.Address) is not 2), replaced.Count(row => Fault(row.Address) is not 2));
        await Eventually.TrueAsync(
            async () => (await _scene.CountAsync("push.batch"), await _scene.CountAsync("push.queue"), await _scene.CountAsync("push.chunk")) is (0, 0, 0), PushService.Patience);
    }

    /// <summary>Of one address in ten.</summary>
    private static int Fault(string address) => address[^2..] switch { "07" or "08" or "17" or "18" => 1, "03" or "04" => 2, "25" or "26" or "45" or "46" => 3, _ => 0 };
}
