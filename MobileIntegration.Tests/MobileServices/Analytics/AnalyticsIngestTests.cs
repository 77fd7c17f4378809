using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using static MobileIntegration.Tests.MobileServices.Analytics.AnalyticsService;

namespace MobileIntegration.Tests.MobileServices.Analytics;

/// <summary>What is taken from apps, and what is not.</summary>
public sealed class AnalyticsIngestTests(AnalyticsService service) : IClassFixture<AnalyticsService>
{
    [Fact]
    public async Task Segments_own_SDK_delivers_through_the_gateway()
    {
        var app = await service.NewAppAsync();

        var told = await RunAsync("segment.mjs", app, 50);

        Assert.Equal(55, told.GetProperty("delivered").GetInt32());
        Assert.Empty(told.GetProperty("failures").EnumerateArray());
        await app.CountedAsync();
        Assert.Equal(55, await app.EventsAsync());
        Assert.Equal(50, (await app.TopAsync("event"))["Product Added"]);
        Assert.Equal(["Basket", "Start"], (await app.TopAsync("screen")).Keys.Order());
        Assert.Equal("2.1.0", Assert.Single((await app.TopAsync("version")).Keys));
        Assert.Equal("android 16", Assert.Single((await app.TopAsync("osVersion")).Keys));
        Assert.Equal("wifi", Assert.Single((await app.TopAsync("network")).Keys));
    }

    [Fact]
    public async Task RudderStacks_own_SDK_delivers_zipped_through_the_gateway()
    {
        var app = await service.NewAppAsync();

        var told = await RunAsync("rudder.mjs", app, 50);

        Assert.Equal(52, told.GetProperty("delivered").GetInt32());
        Assert.Empty(told.GetProperty("failures").EnumerateArray());
        await app.CountedAsync();
        Assert.Equal(52, await app.EventsAsync());
        Assert.Equal(50, (await app.TopAsync("event"))["Product Added"]);
        Assert.Equal("ios", Assert.Single((await app.TopAsync("platform")).Keys));
    }

    [Theory]
    [InlineData("track", """{"event":"Opened","anonymousId":"a","properties":{"a":1}}""")]
    [InlineData("t", """{"event":"Opened","anonymousId":"a"}""")]
    [InlineData("identify", """{"userId":"a","traits":{"plan":"gold"}}""")]
    [InlineData("i", """{"userId":4711}""")]
    [InlineData("screen", """{"name":"Basket","anonymousId":"a"}""")]
    [InlineData("page", """{"name":"Start","anonymousId":"a"}""")]
    [InlineData("group", """{"groupId":"club","anonymousId":"a"}""")]
    [InlineData("alias", """{"previousId":"a","userId":"b"}""")]
    public async Task One_message_has_an_address_of_its_own(string path, string body)
    {
        var app = await service.NewAppAsync();

        using var response = await app.PostAsync($"/v1/{path}", body, service.Gateway.Http);

        Assert.True((await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("success").GetBoolean());
        await app.CountedAsync();
        Assert.Equal(1, await app.EventsAsync());
    }

    [Fact]
    public async Task A_key_in_the_body_is_as_good_and_a_revoked_one_is_refused()
    {
        var app = await service.NewAppAsync();
        using var nobody = new HttpClient { BaseAddress = service.One.Address };
        using var sent = await nobody.PostAsJsonAsync("/v1/batch", new { writeKey = app.Key, batch = new[] { Track("1", "a", "Opened", DateTimeOffset.UtcNow) } });
        Assert.Equal(HttpStatusCode.OK, sent.StatusCode);
        using var unknown = await app.PostAsync("/v1/batch", new { batch = Array.Empty<object>() }, key: "letmein");
        Assert.Contains("write key", (await unknown.ProblemAsync(401)).Text("detail"), StringComparison.Ordinal);
        using var without = await nobody.PostAsJsonAsync("/v1/batch", new { batch = Array.Empty<object>() });
        await without.ProblemAsync(401);

        var keys = await app.Http.GetFromJsonAsync<JsonElement>($"/analytics/admin/apps/{app.Id}/keys");
        Assert.DoesNotContain(app.Key, keys.GetRawText(), StringComparison.Ordinal);
        using var revoked = await app.Http.DeleteAsync($"/analytics/admin/apps/{app.Id}/keys/{keys[0].Text("id")}");
        Assert.Equal(HttpStatusCode.NoContent, revoked.StatusCode);

        await Eventually.TrueAsync(async () =>
        {
            using var refused = await app.PostAsync("/v1/batch", new { batch = Array.Empty<object>() });
            return refused.StatusCode is HttpStatusCode.Unauthorized;
        }, Patience);
        await Eventually.TrueAsync(async () => (await app.Http.GetStringAsync("/analytics/admin/dropped")).Contains("unknown_key", StringComparison.Ordinal), Patience);
    }

    [Fact]
    public async Task Poison_is_left_out_and_counted_and_the_rest_of_its_batch_is_taken()
    {
        var app = await service.NewAppAsync();
        var now = DateTimeOffset.UtcNow;
        var good = Enumerable.Range(0, 30).Select(number => Track($"good-{number}", "a", "Good", now)).ToList();
        var large = Track("large", "a", "Large", now, properties: new { text = new string('x', 33_000) });
        List<object?> batch =
        [
            .. good[..10], large, Track("ancient", "a", "Ancient", now.AddDays(-31)), Track("future", "a", "Future", now.AddHours(2)), new { type = "track", @event = "Nobody" }, "text", null,
            new { type = "track", anonymousId = "a" }, new { type = "fly", anonymousId = "a" }, Track("nul", "a", "Nul", now, properties: new { text = "a\0b" }), .. good[10..20],
            new { type = "track", anonymousId = "a", @event = "When", timestamp = "yesterday" }, new { type = "track", anonymousId = new string('a', 300), @event = "Who" }, .. good[20..],
        ];
        var text = JsonSerializer.Serialize(new { sentAt = now, batch });
        // Right JSON that no jsonb holds: half a pair of surrogates, and a number beyond numeric.
        text = text.Replace("\"messageId\":\"good-12\"", "\"properties\":{\"half\":\"\\ud800\"},\"messageId\":\"good-12\"", StringComparison.Ordinal)
            .Replace("\"messageId\":\"good-22\"", "\"properties\":{\"huge\":1e999999},\"messageId\":\"good-22\"", StringComparison.Ordinal)
            .Replace("\"properties\":null,", "", StringComparison.Ordinal);

        using var response = await app.PostAsync("/v1/batch", text);

        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        await app.CountedAsync();
        Assert.Equal(
            new() { ["ancient"] = 1, ["future"] = 1, ["id"] = 2, ["name"] = 1, ["no_object"] = 2, ["timestamp"] = 1, ["too_large"] = 1, ["type"] = 1, ["unstorable"] = 3 },
            (await app.DroppedAsync()).OrderBy(one => one.Key).ToDictionary());
        Assert.Equal(28, (await app.TopAsync("event"))["Good"]);
        Assert.Equal(28, await app.EventsAsync());
    }

    [Fact]
    public async Task A_request_that_is_too_large_or_no_JSON_is_refused_as_the_protocol_says()
    {
        var app = await service.NewAppAsync();
        var filler = new string('x', 20_000);
        var batch = Enumerable.Range(0, 30).Select(number => Track($"{number}", "a", "Large", DateTimeOffset.UtcNow, properties: new { filler })).ToList();

        using var large = await app.PostAsync("/v1/batch", new { batch }, service.Gateway.Http);
        await large.ProblemAsync(400);
        var zip = new ByteArrayContent(Zip(JsonSerializer.SerializeToUtf8Bytes(new { batch }))) { Headers = { ContentType = new("application/json"), ContentEncoding = { "gzip" } } };
        using var zipped = await app.PostAsync("/v1/batch", zip, service.Gateway.Http);
        Assert.Contains("512000", (await zipped.ProblemAsync(400)).Text("detail"), StringComparison.Ordinal);
        using var broken = await app.PostAsync("/v1/batch", """{"batch": [""");
        await broken.ProblemAsync(400);
        using var none = await app.PostAsync("/v1/batch", "{}");
        await none.ProblemAsync(400);
        using var one = await app.PostAsync("/v1/track", new { @event = "Large", anonymousId = "a", properties = new { text = new string('x', 33_000) } });
        await one.ProblemAsync(400);

        await Eventually.TrueAsync(async () => (await app.DroppedAsync()) is { } dropped && dropped.GetValueOrDefault("malformed") is 2 && dropped.GetValueOrDefault("too_large_request") is 3, Patience);
        Assert.Equal(0, await app.EventsAsync());
    }

    private async Task<JsonElement> RunAsync(string script, TestApp app, int tracks)
    {
        using var node = Process.Start(new ProcessStartInfo("node", [Path.Combine(NpmClients.Folder(), script), service.Gateway.Address.ToString(), app.Key, $"{tracks}"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var (_, output, error) = await node.EndAsync();
        Assert.True(output.Length > 0, error);
        return JsonElement.Parse(output);
    }
}
