using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using MobileIntegration.ServiceDefaults;
using MobileServices.Configuration;
using static MobileIntegration.Tests.MobileServices.ConfigurationService;

namespace MobileIntegration.Tests.MobileServices;

/// <summary>How flags are drafted, published, compared, taken back and explained.</summary>
public sealed class ConfigurationAdminTests(ConfigurationService service) : IClassFixture<ConfigurationService>
{
    private readonly string _app = service.NewApp();

    private HttpClient Http => service.One.Http;

    private string Flags => $"/configuration/admin/apps/{_app}/flags";

    [Fact]
    public async Task A_draft_changes_nothing_until_it_is_published_and_nobody_overwrites_anothers()
    {
        using var first = await DraftAsync(OnOff());
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        await EvaluateAsync(Http, _app, "flag", new { }, 404);
        using (var blind = await DraftAsync(OnOff("on")))
        {
            await blind.ProblemAsync(428);
        }
        using (var late = await DraftAsync(OnOff("on"), "\"999999\""))
        {
            await late.ProblemAsync(412);
        }
        using var second = await DraftAsync(OnOff("on"), first.Headers.ETag!.ToString());
        Assert.NotEqual(first.Headers.ETag, second.Headers.ETag);

        Assert.Equal(HttpStatusCode.OK, (await PostAsync("publish", new { note = "first" })).StatusCode);

        await (await PostAsync("publish", new { })).ProblemAsync(404);
        var state = await Http.GetFromJsonAsync<JsonElement>($"{Flags}/flag");
        Assert.Equal("on", state.GetProperty("live").GetProperty("flag").Text("default"));
        Assert.False(state.TryGetProperty("draft", out var draft) && draft.ValueKind is not JsonValueKind.Null);
    }

    [Fact]
    public async Task Versions_are_listed_compared_and_brought_back()
    {
        var first = await service.PublishAsync(_app, "flag", OnOff("off"));
        var second = await service.PublishAsync(_app, "flag", OnOff("on", [new { name = "all", serve = "on" }]));

        var differences = (await Http.GetFromJsonAsync<JsonElement>($"{Flags}/flag/diff?from={first}&to={second}")).EnumerateArray().ToList();
        Assert.Equal(["/default", "/rules/0"], differences.Select(one => one.Text("path")).Order());
        Assert.Equal(("off", "on"), (differences.Single(one => one.Text("path") == "/default").Text("before"), differences.Single(one => one.Text("path") == "/default").Text("after")));
        await (await Http.GetAsync($"{Flags}/flag/diff?from={first}&to=999")).ProblemAsync(404);

        var back = await (await PostAsync("rollback", new { version = first, note = "it was wrong" })).Content.ReadFromJsonAsync<JsonElement>();
        var third = back.GetProperty("version").GetInt64();
        Assert.Empty((await Http.GetFromJsonAsync<JsonElement>($"{Flags}/flag/diff?from={first}&to={third}")).EnumerateArray());
        var versions = (await Http.GetFromJsonAsync<JsonElement>($"{Flags}/flag/versions")).EnumerateArray().ToList();
        Assert.Equal([third, second, first], versions.Select(version => version.GetProperty("version").GetInt64()));
        await (await PostAsync("rollback", new { version = 999999 })).ProblemAsync(404);

        var audit = (await Http.GetFromJsonAsync<JsonElement>($"/configuration/admin/audit?app={_app}")).GetProperty("items").EnumerateArray().ToList();
        Assert.Equal([$"rollback to {first}", "publish", "draft", "publish", "draft"], audit.Select(entry => entry.Text("action")));
        Assert.Equal(("it was wrong", "on", "off"), (audit[0].Text("note"), audit[0].GetProperty("before").Text("default"), audit[0].GetProperty("after").Text("default")));
        Assert.NotEqual("anonymous", audit[0].Text("who"));
    }

    [Fact]
    public async Task A_scheduled_draft_comes_into_force_once_at_its_time_on_every_replica()
    {
        using var draft = await DraftAsync(OnOff("on"));
        var at = DateTimeOffset.UtcNow.AddSeconds(2);
        using var scheduled = await PostAsync("publish", new { at, note = "sale" });
        Assert.Equal(HttpStatusCode.OK, scheduled.StatusCode);
        await EvaluateAsync(Http, _app, "flag", new { }, 404);

        foreach (var replica in new[] { service.One, service.Other })
        {
            await Eventually.TrueAsync(() => SetOf(replica).Flags.ContainsKey("flag"), TimeSpan.FromSeconds(30));
        }

        Assert.True(DateTimeOffset.UtcNow >= at);
        var version = Assert.Single((await Http.GetFromJsonAsync<JsonElement>($"{Flags}/flag/versions")).EnumerateArray());
        Assert.Equal("sale", version.Text("note"));
    }

    [Fact]
    public async Task A_scheduled_draft_that_cannot_be_published_says_why_and_one_that_is_taken_back_stays_a_draft()
    {
        await service.PublishAsync(_app, "base", OnOff("on"));
        using var draft = await DraftAsync(OnOff(requires: [new { flag = "base", variants = new[] { "on" } }]));
        using (var past = await PostAsync("publish", new { at = DateTimeOffset.UtcNow.AddSeconds(-1) }))
        {
            await past.ProblemAsync(400);
        }
        using var scheduled = await PostAsync("publish", new { at = DateTimeOffset.UtcNow.AddSeconds(2) });
        using var current = await Http.GetAsync($"{Flags}/base");
        using var remove = new HttpRequestMessage(HttpMethod.Delete, $"{Flags}/base");
        remove.Headers.IfMatch.Add(current.Headers.ETag!);
        Assert.Equal(HttpStatusCode.NoContent, (await Http.SendAsync(remove)).StatusCode);

        await Eventually.TrueAsync(async () => (await DraftOfAsync("flag")).GetProperty("problem").GetString()?.Contains("requires 'base'", StringComparison.Ordinal) is true, TimeSpan.FromSeconds(30));
        Assert.Empty(SetOf(service.One).Flags);

        using var later = await PostAsync("publish", new { at = DateTimeOffset.UtcNow.AddHours(1) });
        Assert.Equal(HttpStatusCode.OK, later.StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await Http.DeleteAsync($"{Flags}/flag/schedule")).StatusCode);
        Assert.Equal(JsonValueKind.Null, (await DraftOfAsync("flag")).GetProperty("publishAt").ValueKind);
    }

    [Fact]
    public async Task An_evaluation_explains_itself_also_of_a_draft_another_user_and_another_time()
    {
        await service.PublishAsync(_app, "base", OnOff("on"));
        using var draft = await DraftAsync(OnOff(
            rules: [new { name = "ada", users = new[] { "ada" }, serve = "on" }, new { name = "half", from = "2030-01-01T00:00:00Z", split = new { on = 50, off = 50 } }],
            requires: [new { flag = "base", variants = new[] { "on" } }]));

        var now = await ExplainAsync(new { draft = true, user = "ada" });
        Assert.Equal(("on", "TARGETING_MATCH", "ada"), (now.Text("variant"), now.Text("reason"), now.Text("rule")));
        Assert.Equal(["requires base", "rule ada"], now.GetProperty("steps").EnumerateArray().Select(step => step.Text("what")));
        var later = await ExplainAsync(new { draft = true, context = new { targetingKey = "user-1" }, at = "2030-01-02T00:00:00Z" });
        Assert.Equal(("SPLIT", "half"), (later.Text("reason"), later.Text("rule")));
        Assert.Equal($"bucket {AppDecisions.Bucket("flag", "user-1")} of 0 to 9999", later.GetProperty("steps").EnumerateArray().Last().Text("outcome"));
        await (await PostAsync("explain", new { })).ProblemAsync(404);

        async Task<JsonElement> ExplainAsync(object asked) => await (await PostAsync("explain", asked)).Content.ReadFromJsonAsync<JsonElement>();
    }

    [Theory]
    [InlineData("""{"type":"boolean","variants":{"on":"yes"},"default":"on"}""", "variants.on")]
    [InlineData("""{"type":"boolean","variants":{},"default":"on"}""", "variants")]
    [InlineData("""{"type":"boolean","variants":{"on":true}}""", "default")]
    [InlineData("""{"type":"boolean","variants":{"on":true},"default":"off"}""", "default")]
    [InlineData("""{"type":"boolean","variants":{"on":true},"default":"on","rules":[{"name":"a","versions":"nonsense","serve":"on"}]}""", "rules[0].versions")]
    [InlineData("""{"type":"boolean","variants":{"on":true},"default":"on","rules":[{"name":"a"}]}""", "rules[0]")]
    [InlineData("""{"type":"boolean","variants":{"on":true},"default":"on","rules":[null]}""", "rules[0].name")]
    [InlineData("""{"type":"boolean","variants":{"on":true},"default":"on","rules":[{"name":"a","serve":"on"},{"name":"a","serve":"on"}]}""", "rules")]
    [InlineData("""{"type":"boolean","variants":{"on":true,"off":false},"default":"on","rules":[{"name":"a","split":{"on":50,"off":49}}]}""", "rules[0].split")]
    [InlineData("""{"type":"boolean","variants":{"on":true},"default":"on","rules":[{"name":"a","serve":"on","version":"1.x"}]}""", null)]
    [InlineData("""{"type":"boolean","variants":{"on":true},"default":"on","requires":[{"flag":"x","variants":[]}]}""", "requires[0]")]
    public async Task A_flag_that_is_not_right_is_told_where(string flag, string? field)
    {
        using var response = await Http.PutAsync(new Uri($"{Flags}/flag/draft", UriKind.Relative), new StringContent(flag, System.Text.Encoding.UTF8, "application/json"));
        var problem = await response.ProblemAsync(400);
        Assert.True(field is null ? problem.Text("detail").Contains("'version'", StringComparison.Ordinal) : problem.GetProperty("errors").TryGetProperty(field, out _), problem.ToString());
        await (await Http.GetAsync($"{Flags}/flag")).ProblemAsync(404);
    }

    [Fact]
    public async Task Administration_needs_its_scope()
    {
        using var app = new HttpClient { BaseAddress = service.Gateway.Address };
        app.Authorize(TestAuthority.Shared.Token("home"));
        await (await app.GetAsync(Flags)).ProblemAsync(403);
        await (await service.One.Http.GetAsync(Flags, null)).ProblemAsync(401);
    }

    private FlagSet SetOf(TestService<ConfigurationOptions> replica) => ((FlagSets)replica.Services.GetService(typeof(FlagSets))!).Of(_app);

    private async Task<JsonElement> DraftOfAsync(string key) => (await Http.GetFromJsonAsync<JsonElement>($"{Flags}/{key}")).GetProperty("draft");

    private Task<HttpResponseMessage> PostAsync(string action, object body) => Http.PostAsJsonAsync($"{Flags}/flag/{action}", body);

    private async Task<HttpResponseMessage> DraftAsync(object flag, string? tag = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, $"{Flags}/flag/draft") { Content = JsonContent.Create(flag) };
        if (tag is not null)
        {
            request.Headers.IfMatch.Add(EntityTagHeaderValue.Parse(tag));
        }
        return await Http.SendAsync(request);
    }
}
