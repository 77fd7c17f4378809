using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;

namespace MobileIntegration.Tests.Gateway;

/// <summary>How much a caller may, over two replicas.</summary>
public sealed partial class LimitsTests(LimitedGateways gateways) : IClassFixture<LimitedGateways>, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    public void Dispose() => gateways.Answer = LimitedGateways.AnsweredAsync;

    [Fact]
    public async Task Of_calls_that_come_to_two_replicas_at_once_exactly_as_many_pass_as_the_limit_says()
    {
        var client = await gateways.ClientAsync("fifty");
        var path = $"/api/home?{client.Id}";
        var statuses = await Task.WhenAll(Enumerable.Range(0, 200).Select(n => (n % 2 is 0 ? gateways.One : gateways.Other).StatusAsync(client.Key, path)));
        Assert.Equal((50, 150), (statuses.Count(status => status is 200), statuses.Count(status => status is 429)));
        Assert.Equal(50, gateways.Service.Journal.Count(call => call.Path == path));
    }

    [Theory]
    [InlineData("client", false, false, false, 5)]
    [InlineData("user", true, false, false, 3)]
    [InlineData("device", false, true, false, 3)]
    [InlineData("route", false, false, true, 3)]
    [InlineData("address", false, false, false, 3)]
    public async Task A_limit_counts_for_each_of_what_it_is_for(string plan, bool ofUser, bool ofDevice, bool ofRoute, int permits)
    {
        var client = await gateways.ClientAsync(plan);
        var (device, other) = (Guid.NewGuid(), Guid.NewGuid());
        for (var n = 0; n < permits; n++)
        {
            Assert.Equal(200, await CallAsync(n, "ada", device, "/api/home"));
        }
        Assert.Equal(429, await CallAsync(0, "ada", device, "/api/home"));
        Assert.Equal(429, await CallAsync(1, "ada", device, "/api/home"));
        Assert.Equal(ofUser ? 200 : 429, await CallAsync(0, "bob", device, "/api/home"));
        Assert.Equal(ofDevice ? 200 : 429, await CallAsync(0, "ada", other, "/api/home"));
        Assert.Equal(ofRoute ? 200 : 429, await CallAsync(0, "ada", device, $"/devices/{device}"));
        var another = await gateways.ClientAsync(plan);
        Assert.Equal(200, await gateways.One.StatusAsync(another.Key));

        Task<int> CallAsync(int n, string user, Guid id, string path) => (n % 2 is 0 ? gateways.One : gateways.Other).StatusAsync(
            client.Key, path, user, request =>
            {
                request.Headers.Add("X-App-Id", "com.example.shop");
                request.Headers.Add("X-App-Version", "1.5.0");
                request.Headers.Add("X-Device-Id", $"{id}");
            });
    }

    [Fact]
    public async Task Who_leaves_out_his_device_is_counted_by_his_address()
    {
        var client = await gateways.ClientAsync("device");
        var statuses = new List<int>();
        for (var n = 0; n < 4; n++)
        {
            statuses.Add(await gateways.One.StatusAsync(client.Key));
        }
        Assert.Equal([200, 200, 200, 429], statuses);
    }

    [Theory]
    [InlineData("day")]
    [InlineData("month")]
    public async Task A_quota_ends_with_its_day_or_month(string plan)
    {
        var client = await gateways.ClientAsync(plan);
        for (var n = 0; n < 4; n++)
        {
            using var passed = await (n % 2 is 0 ? gateways.One : gateways.Other).CallAsync(client.Key);
            Assert.Equal(200, (int)passed.StatusCode);
            Assert.StartsWith($"\"per-client\";r={3 - n};t=", passed.Header("RateLimit"), StringComparison.Ordinal);
        }
        using var refused = await gateways.One.CallAsync(client.Key);
        await refused.ProblemAsync(429);
        var now = DateTime.UtcNow;
        var end = plan is "day" ? now.Date.AddDays(1) : new DateTime(now.Year, now.Month, 1, 0, 0, 0, DateTimeKind.Utc).AddMonths(1);
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value, end - now - TimeSpan.FromSeconds(5), end - now + TimeSpan.FromSeconds(5));
        Assert.Equal(plan is "day" ? "\"per-client\";q=4;w=86400" : "\"per-client\";q=4", refused.Header("RateLimit-Policy"));
    }

    [Fact]
    public async Task A_quota_counts_on_when_the_plan_gives_more()
    {
        var client = await gateways.ClientAsync("day");
        for (var n = 0; n < 4; n++)
        {
            Assert.Equal(200, await gateways.One.StatusAsync(client.Key));
        }
        Assert.Equal(429, await gateways.One.StatusAsync(client.Key));
        (await gateways.One.Http.PatchAsJsonAsync($"/admin/clients/{client.Id}", new { plan = "long-day" })).EnsureSuccessStatusCode();
        using var passed = await gateways.One.CallAsync(client.Key);
        Assert.StartsWith("\"per-client\";r=1;", passed.Header("RateLimit"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_answer_says_what_is_left_of_the_tightest_limit_and_a_refusal_which_one_it_was_and_until_when()
    {
        var client = await gateways.ClientAsync("two");
        using var passed = await gateways.One.CallAsync(client.Key);
        Assert.Equal(200, (int)passed.StatusCode);
        Assert.Contains("\"per-user\";q=2;w=3600", passed.Header("RateLimit-Policy"), StringComparison.Ordinal);
        Assert.Contains("\"per-client\";q=4;w=3600", passed.Header("RateLimit-Policy"), StringComparison.Ordinal);
        Assert.Equal("\"per-user\";r=1;t=1800", passed.Header("RateLimit"));
        Assert.Null(passed.Headers.RetryAfter);
        Assert.Equal(200, await gateways.Other.StatusAsync(client.Key));

        using var refused = await gateways.One.CallAsync(client.Key);
        var problem = await refused.ProblemAsync(429);
        Assert.Equal("per-user", problem.GetProperty("violated-policies")[0].GetString());
        Assert.Equal("https://iana.org/assignments/http-problem-types#quota-exceeded", problem.GetProperty("type").GetString());
        Assert.Contains("2 calls in 3600 s for each user", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        var seconds = (int)refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds;
        Assert.InRange(seconds, 1700, 1800);
        Assert.Equal($"\"per-user\";r=0;t={seconds}", refused.Header("RateLimit"));
        Assert.True(refused.Headers.CacheControl!.NoStore);
    }

    [Fact]
    public async Task A_call_that_one_limit_refuses_counts_at_none()
    {
        var client = await gateways.ClientAsync("two");
        int[] expected = [200, 200, 429, 429, 429];
        for (var n = 0; n < expected.Length; n++)
        {
            Assert.Equal(expected[n], await (n % 2 is 0 ? gateways.One : gateways.Other).StatusAsync(client.Key, user: "ada"));
        }
        Assert.Equal(200, await gateways.One.StatusAsync(client.Key, user: "bob"));
        Assert.Equal(200, await gateways.Other.StatusAsync(client.Key, user: "bob"));
        using var third = await gateways.One.CallAsync(client.Key, user: "cyd");
        Assert.Equal("per-client", (await third.ProblemAsync(429)).GetProperty("violated-policies")[0].GetString());
    }

    [Fact]
    public async Task After_the_time_that_the_refusal_names_the_call_passes()
    {
        var client = await gateways.ClientAsync("second");
        Assert.Equal(200, await gateways.One.StatusAsync(client.Key));
        using var refused = await gateways.One.CallAsync(client.Key);
        if ((int)refused.StatusCode is 429)
        {
            Assert.Equal(TimeSpan.FromSeconds(1), refused.Headers.RetryAfter!.Delta);
        }
        await Eventually.TrueAsync(async () => await gateways.One.StatusAsync(client.Key) is 200, Patience);
    }

    [Fact]
    public async Task A_burst_is_what_passes_at_once()
    {
        var client = await gateways.ClientAsync("burst");
        Assert.Equal(200, await gateways.One.StatusAsync(client.Key));
        Assert.Equal(200, await gateways.Other.StatusAsync(client.Key));
        using var refused = await gateways.One.CallAsync(client.Key);
        Assert.Equal(429, (int)refused.StatusCode);
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 30, 60);
    }

    [Fact]
    public async Task What_the_gateway_says_of_limits_stands_on_errors_too_and_instead_of_what_a_service_says()
    {
        var client = await gateways.ClientAsync("fifty");
        gateways.Answer = context =>
        {
            context.Response.Headers["RateLimit"] = "\"mine\";r=1;t=1";
            return Task.CompletedTask;
        };
        using var own = await gateways.One.CallAsync(client.Key);
        Assert.StartsWith("\"per-client\";r=49;", own.Header("RateLimit"), StringComparison.Ordinal);
        gateways.Answer = context =>
        {
            context.Abort();
            return Task.CompletedTask;
        };
        using var failed = await gateways.One.CallAsync(client.Key);
        Assert.Equal(502, (int)failed.StatusCode);
        Assert.StartsWith("\"per-client\";r=48;", failed.Header("RateLimit"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refused_call_does_not_use_up_its_idempotency_key()
    {
        var client = await gateways.ClientAsync("second");
        Assert.Equal(200, await gateways.One.StatusAsync(client.Key));
        (await gateways.One.Http.PatchAsJsonAsync($"/admin/clients/{client.Id}", new { plan = "user" })).EnsureSuccessStatusCode();
        for (var n = 0; n < 3; n++)
        {
            Assert.Equal(200, await gateways.One.StatusAsync(client.Key));
        }
        var key = KeyedCalls.NewKey();
        var refused = await gateways.One.SendAsync(key, more: request => request.Headers.Add("X-Api-Key", client.Key));
        Assert.Equal(429, (int)refused.StatusCode);
        (await gateways.One.Http.PatchAsJsonAsync($"/admin/clients/{client.Id}", new { plan = "hundred" })).EnsureSuccessStatusCode();
        var passed = await gateways.One.SendAsync(key, more: request => request.Headers.Add("X-Api-Key", client.Key));
        Assert.Equal((200, false), ((int)passed.StatusCode, passed.IsReplayed()));
        Assert.Single(gateways.Service.Journal, call => IdempotentGateways.KeyOf(call) == key);
    }

    [Fact]
    public async Task Calls_with_wrong_tokens_are_limited_by_address()
    {
        await using var gateway = gateways.Start(
            [("Limits:DefaultPlan", "guests"), .. LimitedGateways.Plan("guests", "user", 3, ("Seconds", "3600"))]);
        var statuses = new List<int>();
        for (var n = 0; n < 5; n++)
        {
            statuses.Add((int)(await gateway.Http.GetAsync("/api/home", $"wrong{n}")).StatusCode);
        }
        Assert.Equal([401, 401, 401, 429, 429], statuses);
        Assert.Equal(200, await gateway.StatusAsync(null));
    }

    [Fact]
    public async Task Calls_are_counted_by_outcome_and_limit_and_no_key_is_in_it()
    {
        var client = await gateways.ClientAsync("user");
        var counted = new ConcurrentQueue<string>();
        var factory = gateways.One.Services.GetRequiredService<IMeterFactory>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name is "mobile.gateway.limits" && instrument.Meter.Scope == factory)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((_, _, tags, _) => counted.Enqueue(string.Join(' ', tags.ToArray().Select(tag => tag.Value ?? "-"))));
        listener.Start();
        for (var n = 0; n < 5; n++)
        {
            await gateways.One.StatusAsync(client.Key);
        }
        await gateways.One.StatusAsync("wrong", user: $"{Guid.NewGuid()}");
        // A call within a large limit is counted when its answer goes out.
        Assert.Equal(
            [.. Enumerable.Repeat("passed per-user", 3), "refused per-user", "refused_from_memory per-user", "key_refused -", "passed user"], counted);
    }

    [Fact]
    public async Task Without_settings_a_system_has_limits_that_a_hundred_calls_a_second_do_not_meet()
    {
        await using var gateway = gateways.Start();
        using var answer = await gateway.CallAsync(null, user: $"{Guid.NewGuid()}");
        Assert.Equal("\"user\";q=12000;w=60, \"address\";q=60000;w=60", answer.Header("RateLimit-Policy"));
        var left = int.Parse(Left().Match(answer.Header("RateLimit")).Groups[1].Value, CultureInfo.InvariantCulture);
        Assert.Equal(11_999, left);
    }

    [GeneratedRegex("r=([0-9]+)")]
    private static partial Regex Left();
}
