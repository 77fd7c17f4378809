using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests.ServiceDefaults;

public sealed class AppDecisionsTests
{
    private const string Shop = "com.example.shop";
    private static readonly DateTimeOffset Noon = new(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly Guid Device = Guid.Parse("3f2504e0-4f89-41d3-9a0c-0305e82c3301");

    [Theory]
    [InlineData(">=1.4.0 <1.5.0", "1.4.0", true)]
    [InlineData(">=1.4.0 <1.5.0", "1.4.99", true)]
    [InlineData(">=1.4.0 <1.5.0", "1.5.0", false)]
    [InlineData(">=1.4.0 <1.5.0", "1.5.0-beta", true)]
    [InlineData(">=1.4.0 <1.5.0", "1.4.0-rc.1", false)]
    [InlineData(">=1.4.0 <1.5.0", "1.4.0+build.7", true)]
    [InlineData("1.4.x", "1.4.0-rc.1", true)]
    [InlineData("1.4.x", "1.5.0-rc.1", false)]
    [InlineData("<1.2.0 || 1.3.0", "1.3.0", true)]
    [InlineData("<1.2.0 || 1.3.0", "1.2.0", false)]
    [InlineData("<1.0.0-alpha.10", "1.0.0-alpha.9", true)]
    [InlineData("<1.0.0-alpha.10", "1.0.0-alpha.beta", false)]
    [InlineData("<2.0.0", "99999999999999999999.0.0", false)]
    public void A_range_holds_versions_by_their_precedence(string range, string version, bool hit) =>
        Assert.Equal(hit, Decide(new AppRule("r", Shop, AppAction.Block, Versions: range), version).Action is AppAction.Block);

    [Theory]
    [InlineData("<17.0.0", "16", true)]
    [InlineData("<17.0.0", "17", false)]
    [InlineData("<17.0.0", "16.7.2", true)]
    [InlineData("<10.0.19045", "10.0.19044.1706", true)]
    [InlineData("<10.0.19045", "10.0.19045.1", false)]
    [InlineData("<17.0.0", "16beta", true)]
    [InlineData("<17.0.0", "unknown", false)]
    [InlineData("<17.0.0", null, false)]
    public void A_system_counts_by_its_leading_numbers(string range, string? system, bool hit) =>
        Assert.Equal(hit, Decide(new AppRule("r", Shop, AppAction.Block, OsVersions: range), "1.0.0", system: system).Action is AppAction.Block);

    [Fact]
    public void The_rule_of_the_lowest_priority_decides_and_of_equals_the_first_name()
    {
        AppRule[] rules =
        [
            new("c", Shop, AppAction.Block, 20),
            new("b", Shop, AppAction.Warn, 10, Versions: "1.x"),
            new("a", Shop, AppAction.Allow, 10, Versions: "1.0.x"),
        ];
        Assert.Equal(("a", AppAction.Allow), Outcome("1.0.5"));
        Assert.Equal(("b", AppAction.Warn), Outcome("1.1.0"));
        Assert.Equal(("c", AppAction.Block), Outcome("2.0.0"));

        (string?, AppAction) Outcome(string version)
        {
            var decision = new AppDecisions(new(1, rules, [])).Decide(Call(version), Noon);
            return (decision.Rule, decision.Action);
        }
    }

    [Fact]
    public void A_rule_holds_from_its_beginning_to_just_before_its_end()
    {
        var rule = new AppRule("r", Shop, AppAction.Block, From: Noon, Until: Noon.AddHours(1));
        var decisions = new AppDecisions(new(1, [rule], []));
        Assert.Equal(AppAction.Allow, decisions.Decide(Call("1.0.0"), Noon.AddTicks(-1)).Action);
        Assert.Equal(AppAction.Block, decisions.Decide(Call("1.0.0"), Noon).Action);
        Assert.Equal(AppAction.Allow, decisions.Decide(Call("1.0.0"), Noon.AddHours(1)).Action);
        Assert.Equal(Noon, decisions.NextChange(Noon.AddDays(-1)));
        Assert.Equal(Noon.AddHours(1), decisions.NextChange(Noon));
        Assert.Null(decisions.NextChange(Noon.AddHours(1)));
    }

    [Fact]
    public void Platforms_apps_and_devices_are_told_apart()
    {
        var rule = new AppRule("r", Shop, AppAction.Block, Platforms: [AppPlatform.Ios]);
        var decisions = new AppDecisions(new(1, [rule], [Device]));
        Assert.Equal(AppAction.Block, decisions.Decide(Call("1.0.0", AppPlatform.Ios), Noon).Action);
        Assert.Equal(AppAction.Allow, decisions.Decide(Call("1.0.0", AppPlatform.Android), Noon).Action);
        Assert.Equal(AppAction.Allow, decisions.Decide(Call("1.0.0", null), Noon).Action);
        Assert.Equal(AppAction.Allow, decisions.Decide(Call("1.0.0", AppPlatform.Ios) with { AppId = "com.example.other" }, Noon).Action);
        Assert.True(decisions.Decide(Call("1.0.0", AppPlatform.Android) with { AppId = "com.example.other", DeviceId = Device }, Noon).DeviceBlocked);
    }

    /// <summary>The numbers are from another implementation (sha256sum), so that other languages agree.</summary>
    [Theory]
    [InlineData("stop-1.4", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", 7100)]
    [InlineData("stop-1.4", "00000000-0000-0000-0000-000000000001", 6095)]
    [InlineData("rollout", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", 9926)]
    public void A_device_is_in_the_same_ten_thousandth_for_good(string rule, string device, int bucket) =>
        Assert.Equal(bucket, AppDecisions.Bucket(rule, Guid.Parse(device)));

    [Fact]
    public void A_percentage_hits_its_share_and_grows_without_letting_go()
    {
        var random = new Random(7);
        var devices = Enumerable.Range(0, 20_000).Select(_ => { var id = new byte[16]; random.NextBytes(id); return new Guid(id); }).ToList();
        var tenth = Hit(10);
        Assert.InRange(tenth.Count, 1_850, 2_150);
        Assert.Subset(Hit(12.5m), tenth);
        Assert.Equal(AppAction.Allow, Decide(new AppRule("r", Shop, AppAction.Block, Percentage: 99), "1.0.0").Action);

        HashSet<Guid> Hit(decimal share)
        {
            var decisions = new AppDecisions(new(1, [new("r", Shop, AppAction.Block, Percentage: share)], []));
            return [.. devices.Where(device => decisions.Decide(Call("1.0.0") with { DeviceId = device }, Noon).Action is AppAction.Block)];
        }
    }

    [Theory]
    [InlineData("de-AT", "Servus")]
    [InlineData("de-at", "Servus")]
    [InlineData("de-AT-1996", "Servus")]
    [InlineData("de-CH", "Hallo")]
    [InlineData("de-x-bavaria", "Hallo")]
    [InlineData("fr", "Hello")]
    [InlineData(null, "Hello")]
    public void A_message_is_in_the_nearest_language(string? locale, string message)
    {
        var rule = new AppRule("r", Shop, AppAction.Warn, Messages: new Dictionary<string, string> { ["*"] = "Hello", ["de"] = "Hallo", ["de-AT"] = "Servus" });
        Assert.Equal(message, new AppDecisions(new(1, [rule], [])).Decide(Call("1.0.0") with { Locale = locale }, Noon).Message);
    }

    [Theory]
    [InlineData(">=1.4.0 <1.5.0", "1.5.0")]
    [InlineData("1.4.x", "1.5.0")]
    [InlineData("<=1.4.2", "1.4.3")]
    [InlineData("<1.6.0", "2.0.0")]
    [InlineData(">=1.4.0", null)]
    [InlineData(null, null)]
    public void The_version_that_mends_it_is_the_first_that_no_rule_blocks(string? range, string? minimum)
    {
        AppRule[] rules = [new("r", Shop, AppAction.Block, Versions: range), new("also", Shop, AppAction.Block, Versions: ">=1.6.0 <2.0.0")];
        Assert.Equal(minimum, new AppDecisions(new(1, rules, [])).Decide(Call("1.4.1"), Noon).MinimumVersion);
    }

    private static AppDecision Decide(AppRule rule, string version, string? system = null) =>
        new AppDecisions(new(1, [rule], [])).Decide(Call(version) with { OsVersion = system }, Noon);

    private static AppCall Call(string version, AppPlatform? platform = AppPlatform.Android) => new(Shop, version, platform, null, null, null);
}
