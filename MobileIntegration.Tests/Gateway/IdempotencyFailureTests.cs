using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Http;

namespace MobileIntegration.Tests.Gateway;

/// <summary>What becomes of keyed calls when clients, gateways and the database go away.</summary>
public sealed class IdempotencyFailureTests(IdempotentGateways gateways) : IClassFixture<IdempotentGateways>, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly string _key = KeyedCalls.NewKey();

    public void Dispose() => gateways.Answer = IdempotentGateways.MadeAsync;

    [Fact]
    public async Task A_thousand_calls_that_are_cut_after_the_service_committed_and_sent_again_have_a_thousand_effects()
    {
        var held = new HeldAnswers();
        gateways.Answer = held.AnswerAsync;
        var keys = Enumerable.Range(0, 1000).Select(_ => KeyedCalls.NewKey()).ToArray();
        var replayed = 0;
        await Parallel.ForAsync(0, keys.Length, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (n, _) =>
        {
            var (first, second) = n % 2 is 0 ? (gateways.One, gateways.Other) : (gateways.Other, gateways.One);
            using (var cut = new CancellationTokenSource())
            {
                var call = first.SendAsync(keys[n], ct: cut.Token);
                await held.ReachedAsync(keys[n]);
                await cut.CancelAsync();
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
            }
            held.Free(keys[n]);
            await Eventually.TrueAsync(async () =>
            {
                using var retry = await (n % 4 < 2 ? first : second).SendAsync(keys[n]);
                if (retry.StatusCode is HttpStatusCode.Conflict)
                {
                    return false;
                }
                Assert.Equal((HttpStatusCode.Created, true), (retry.StatusCode, retry.IsReplayed()));
                Interlocked.Increment(ref replayed);
                return true;
            }, Patience);
        });
        var effects = gateways.Effects().Select(IdempotentGateways.KeyOf).Where(keys.Contains).ToArray();
        Assert.Equal((1000, 1000, 1000), (replayed, effects.Length, effects.Distinct().Count()));
    }

    [Fact]
    public async Task When_a_gateway_is_killed_in_the_middle_the_retry_reaches_the_service_after_the_lease_with_the_same_key()
    {
        using var process = StartToBeKilled(out var client);
        using var _ = client;
        try
        {
            await Eventually.TrueAsync(async () => await IsUpAsync(client), TimeSpan.FromSeconds(60));

            var held = new HeldAnswers();
            gateways.Answer = held.AnswerAsync;
            using var request = new HttpRequestMessage(HttpMethod.Post, "/api/home/orders") { Content = new StringContent("{}") };
            request.Headers.Add("Idempotency-Key", _key);
            var cut = client.SendAsync(request);
            await held.ReachedAsync(_key);
            process.Kill();
            await Assert.ThrowsAsync<HttpRequestException>(() => cut);
        }
        finally
        {
            process.Kill();
        }

        gateways.Answer = IdempotentGateways.MadeAsync;
        using (var early = await gateways.Other.SendAsync(_key, body: "{}", type: "text/plain"))
        {
            await early.ProblemAsync(409);
        }
        await Eventually.TrueAsync(async () =>
        {
            using var retry = await gateways.Other.SendAsync(_key, body: "{}", type: "text/plain");
            return retry.StatusCode is HttpStatusCode.Created && !retry.IsReplayed();
        }, Patience);
        Assert.True((await gateways.One.SendAsync(_key, body: "{}", type: "text/plain")).IsReplayed());
        Assert.Equal(2, gateways.Effects(_key).Length);
    }

    [Fact]
    public async Task A_gateway_that_is_killed_among_a_thousand_calls_changes_nothing_where_the_service_knows_the_key_too()
    {
        var orders = new ConcurrentDictionary<string, Guid>();
        gateways.Answer = context =>
        {
            var order = orders.GetOrAdd(context.Request.Headers["Idempotency-Key"].ToString(), _ => Guid.NewGuid());
            context.Response.StatusCode = StatusCodes.Status201Created;
            return context.Response.WriteAsync($"{order}");
        };
        using var process = StartToBeKilled(out var client);
        using var _ = client;
        try
        {
            await Eventually.TrueAsync(async () => await IsUpAsync(client), TimeSpan.FromSeconds(60));
            var keys = Enumerable.Range(0, 1000).Select(_ => KeyedCalls.NewKey()).ToArray();
            var (begun, cut) = (0, 0);
            await Parallel.ForAsync(0, keys.Length, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (n, ct) =>
            {
                if (Interlocked.Increment(ref begun) is 500)
                {
                    process.Kill();
                }
                var told = "";
                try
                {
                    using var request = new HttpRequestMessage(HttpMethod.Post, "/api/home/orders") { Content = new StringContent("{}") };
                    request.Headers.Add("Idempotency-Key", keys[n]);
                    using var answer = await client.SendAsync(request, ct);
                    Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
                    told = await answer.Content.ReadAsStringAsync(ct);
                }
                catch (HttpRequestException)
                {
                    Interlocked.Increment(ref cut);
                    await Eventually.TrueAsync(async () =>
                    {
                        using var retry = await gateways.Other.SendAsync(keys[n], body: "{}", type: "text/plain", ct: ct);
                        told = await retry.Content.ReadAsStringAsync(ct);
                        return retry.StatusCode is HttpStatusCode.Created;
                    }, Patience);
                }
                Assert.Equal($"{orders[keys[n]]}", told);
            });
            // What the gateways ask by themselves has no key.
            Assert.Equal(keys.Order(), orders.Keys.Where(key => key.Length > 0).Order());
            Assert.InRange(cut, 1, 999);
        }
        finally
        {
            process.Kill();
        }
    }

    [Fact]
    public async Task While_PostgreSQL_is_away_calls_with_a_key_are_503_and_all_others_go_on()
    {
        var model = DistributedApplicationTestingBuilder.Create();
        model.AddPostgres("postgres").AddDatabase("mobiledb");
        await using var storage = model.Build();
        await storage.StartAsync();
        await storage.ResourceNotifications.WaitForResourceHealthyAsync("mobiledb").WaitAsync(TimeSpan.FromMinutes(1));
        await using var gateway = gateways.Start(
            ("ConnectionStrings:mobiledb", (await storage.GetConnectionStringAsync("mobiledb"))!), ("Management:Port", $"{TestServices.FreePort()}"));
        Assert.Equal(HttpStatusCode.Created, (await gateway.SendAsync(_key)).StatusCode);

        await storage.StopAsync();
        for (var i = 0; i < 3; i++)
        {
            using var refused = await gateway.SendAsync(_key);
            var problem = await refused.ProblemAsync(503);
            Assert.Contains("with the same key", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
            Assert.Equal(TimeSpan.FromSeconds(5), refused.Headers.RetryAfter?.Delta);
            Assert.Equal(HttpStatusCode.Created, (await gateway.SendAsync(null)).StatusCode);
        }
        Assert.Single(gateways.Effects(_key));
    }

    [Fact]
    public async Task A_keyed_call_that_is_under_way_when_its_version_is_blocked_gets_its_answer_and_the_retry_the_refusal()
    {
        var rules = """{"version":1,"rules":[],"blockedDevices":[]}""";
        await using var devices = await Upstream.StartAsync(context => Results.Text(rules, "application/json").ExecuteAsync(context));
        await using var gateway = gateways.Start(TestServices.At("devices", devices.Address), ("AppGate:PollSeconds", "1"));
        var held = new HeldAnswers();
        gateways.Answer = held.AnswerAsync;
        var call = gateway.SendAsync(_key, more: FromApp);
        await held.ReachedAsync(_key);

        rules = """{"version":2,"rules":[{"name":"stop","appId":"com.example.shop","action":"block","priority":1,"percentage":100}],"blockedDevices":[]}""";
        await Eventually.TrueAsync(async () =>
        {
            using var other = await gateway.SendAsync(null, path: "/devices/x", more: FromApp);
            return other.StatusCode is HttpStatusCode.Forbidden;
        }, Patience);
        held.Free(_key);
        Assert.Equal(HttpStatusCode.Created, (await call).StatusCode);
        await (await gateway.SendAsync(_key, more: FromApp)).ProblemAsync(403);
        Assert.True((await gateway.SendAsync(_key)).IsReplayed());

        static void FromApp(HttpRequestMessage request)
        {
            request.Headers.Add("X-App-Id", "com.example.shop");
            request.Headers.Add("X-App-Version", "1.4.0");
        }
    }

    [Theory]
    [InlineData("ConnectionStrings__mobiledb", null, "The connection string 'mobiledb' is missing.")]
    [InlineData("Idempotency__LeaseSeconds", "30", "Idempotency:LeaseSeconds must be more than Limits:RequestSeconds")]
    [InlineData("Idempotency__KeepHours", "0", "Idempotency:KeepHours must be from 1 to 720.")]
    public async Task A_start_that_cannot_succeed_says_the_mend(string name, string? value, string message)
    {
        var (exitCode, _, error) = await TestServices.RunToEndAsync(
            "Gateway", [("ConnectionStrings__mobiledb", gateways.Database), (name, value ?? "")]);
        Assert.Equal(1, exitCode);
        Assert.Contains(message, error, StringComparison.Ordinal);
    }

    /// <summary>A gateway in a process of its own, whose claims end 4 s after it.</summary>
    private Process StartToBeKilled(out HttpClient client)
    {
        var address = new Uri($"http://127.0.0.1:{TestServices.FreePort()}");
        client = new HttpClient { BaseAddress = address };
        client.Authorize(TestAuthority.AllScopes);
        var process = TestServices.StartProcess(
            "Gateway",
            [
                ("ASPNETCORE_URLS", $"{address}"), ("Limits__RequestSeconds", "3"), ("Idempotency__LeaseSeconds", "4"),
                .. gateways.Settings.Select(setting => (setting.Key.Replace(":", "__", StringComparison.Ordinal), setting.Value)),
            ]);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private static async Task<bool> IsUpAsync(HttpClient client)
    {
        try
        {
            return (await client.GetAsync("/api/home")).IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
