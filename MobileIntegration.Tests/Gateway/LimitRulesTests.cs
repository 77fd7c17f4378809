using Gateway;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Time.Testing;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests.Gateway;

/// <summary>Settings of limits, and what a replica counts for itself.</summary>
public sealed class LimitRulesTests
{
    private static readonly DateTimeOffset EndOfJanuary = new(2027, 1, 31, 23, 59, 50, TimeSpan.Zero);

    private readonly FakeTimeProvider _time = new(EndOfJanuary);

    [Theory]
    [InlineData("Limits:DefaultPlan", "gold", "Name one of default, free, or add it to Limits:Plans.")]
    [InlineData("Limits:RedisMilliseconds", "1", "Limits:RedisMilliseconds must be from 10 to 5000.")]
    [InlineData("Limits:PollSeconds", "0", "Limits:PollSeconds must be from 1 to 300.")]
    [InlineData("Limits:RequireApiKey", "perhaps", "Mend that setting, or leave it out.")]
    [InlineData("Limits:Plans:free:a:Per", "planet", "Limits:Plans:free:a:Per is 'planet'. Set it to client, user, device, address or route.")]
    [InlineData("Limits:Plans:free:a:Per", "1", "Limits:Plans:free:a:Per is '1'.")]
    [InlineData("Limits:Plans:free:a:Permits", "0", "Limits:Plans:free:a:Permits must be from 1 to 1000000000.")]
    [InlineData("Limits:Plans:free:a:Permits", "many", "Mend that setting, or leave it out.")]
    [InlineData("Limits:Plans:free:a:Seconds", "0", "Limits:Plans:free:a:Seconds must be from 1 to 86400")]
    [InlineData("Limits:Plans:free:a:Seconds", null, "either Seconds, which makes it a rate, or Every")]
    [InlineData("Limits:Plans:free:a:Every", "day", "either Seconds, which makes it a rate, or Every")]
    [InlineData("Limits:Plans:free:a:Burst", "0", "Limits:Plans:free:a:Burst must be from 1 to 1000000.")]
    [InlineData("Limits:Plans:free:a:Permits", "100001", "allows more than 100000 calls a second")]
    [InlineData("Limits:Plans:free:a:Window", "1", "Limits:Plans:free:a:Window is no setting of a limit. There are Per, Permits, Seconds, Burst, Every.")]
    [InlineData("Limits:Plans:gold", "yes", "Limits:Plans:gold has no limits.")]
    [InlineData("Limits:Plans:free:Per Hour:Per", "user", "'Per Hour' is no name.")]
    public void A_wrong_setting_says_its_mend(string key, string? value, string mend)
    {
        var settings = new Dictionary<string, string?>
        {
            ["Limits:Plans:free:a:Per"] = "user",
            ["Limits:Plans:free:a:Permits"] = "10",
            ["Limits:Plans:free:a:Seconds"] = "1",
        };
        Assert.Equal("user", Assert.Single(Plans(settings).Find("free")!.Limits).Per.ToString().ToLowerInvariant());
        settings[key] = value;
        var failure = Assert.Throws<StartException>(() => Plans(settings));
        Assert.Contains(mend, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_start_with_a_wrong_setting_ends_with_one_line()
    {
        var (exit, _, error) = await TestServices.RunToEndAsync("Gateway", ("Limits__DefaultPlan", "gold"));
        Assert.Equal((1, "error: Limits:DefaultPlan is 'gold', which is no plan. Name one of default, or add it to Limits:Plans."), (exit, error.Trim()));
    }

    [Fact]
    public void Two_limits_that_count_the_same_are_refused()
    {
        var failure = Assert.Throws<StartException>(() => Plans(new()
        {
            ["Limits:Plans:free:a:Per"] = "user",
            ["Limits:Plans:free:a:Permits"] = "10",
            ["Limits:Plans:free:a:Every"] = "day",
            ["Limits:Plans:free:b:Per"] = "user",
            ["Limits:Plans:free:b:Permits"] = "20",
            ["Limits:Plans:free:b:Every"] = "day",
        }));
        Assert.Contains("a and b, which count the same", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_rate_of_a_replica_is_exact_and_fills_up_evenly()
    {
        var limit = new Limit("a", LimitPer.User, LimitKind.Rate, 7, 10, 7);
        var counts = new LimitCounts(_time);
        Assert.Equal(7, Enumerable.Range(0, 20).Count(_ => Take(counts, limit).Wait <= 0));
        Assert.InRange(Take(counts, limit).Wait, 1_428_571, 1_428_572);
        _time.Advance(TimeSpan.FromSeconds(1.42));
        Assert.True(Take(counts, limit).Wait > 0);
        _time.Advance(TimeSpan.FromSeconds(0.01));
        Assert.True(Take(counts, limit).Wait <= 0);
        Assert.True(Take(counts, limit).Wait > 0);
        _time.Advance(TimeSpan.FromSeconds(100));
        Assert.Equal(7, Enumerable.Range(0, 20).Count(_ => Take(counts, limit).Wait <= 0));
    }

    [Theory]
    [InlineData("Day")]
    [InlineData("Month")]
    public void A_quota_of_a_replica_begins_anew_with_the_next_day_or_month(string kind)
    {
        var limit = new Limit("a", LimitPer.User, Enum.Parse<LimitKind>(kind), 2, 0, 0);
        var counts = new LimitCounts(_time);
        Assert.Equal(1, Take(counts, limit).Left);
        Assert.Equal(0, Take(counts, limit).Left);
        Assert.Equal(10_000_000, Take(counts, limit).Wait);
        _time.Advance(TimeSpan.FromSeconds(10));
        var first = Take(counts, limit);
        Assert.Equal((0, 1), (first.Wait, first.Left));
        Assert.Equal(TimeSpan.FromDays(kind is "Day" ? 1 : 28), TimeSpan.FromMicroseconds(first.Reset));
    }

    [Fact]
    public void A_replica_keeps_the_counts_of_those_that_call_and_memory_for_no_more_than_so_many()
    {
        var limit = new Limit("a", LimitPer.User, LimitKind.Rate, 1, 86_400, 1);
        var counts = new LimitCounts(_time);
        Take(counts, limit, "kept");
        GC.Collect();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        for (var n = 0; n < 1_000_000; n++)
        {
            Take(counts, limit, $"{n}");
            if (n % 10_000 is 0)
            {
                Assert.True(Take(counts, limit, "kept").Wait > 0);
            }
        }
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 20 << 20);
        GC.KeepAlive(counts);
    }

    [Fact]
    public void A_refusal_is_remembered_until_its_end_and_ten_seconds_at_most()
    {
        var limit = new Limit("a", LimitPer.User, LimitKind.Rate, 1, 60, 1);
        var refusals = new LimitRefusals(_time);
        refusals.Add(limit, "short", 3_000_000);
        refusals.Add(limit, "long", 60_000_000);
        Assert.Equal(0, refusals.Wait(limit, "other"));
        Assert.Equal(3_000_000, refusals.Wait(limit, "short"));
        Assert.Equal(60_000_000, refusals.Wait(limit, "long"));
        _time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(0, refusals.Wait(limit, "short"));
        Assert.Equal(57_000_000, refusals.Wait(limit, "long"));
        _time.Advance(TimeSpan.FromSeconds(7));
        Assert.Equal(0, refusals.Wait(limit, "long"));
    }

    private static LimitPlans Plans(Dictionary<string, string?> settings) =>
        new(LimitsOptions.Read(new ConfigurationBuilder().AddInMemoryCollection(settings).Build()));

    private static LimitCount Take(LimitCounts counts, Limit limit, string key = "ada")
    {
        Span<LimitCount> count = stackalloc LimitCount[1];
        counts.Take([limit], [key], count);
        return count[0];
    }
}
