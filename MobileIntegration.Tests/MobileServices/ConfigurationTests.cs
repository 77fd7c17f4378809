using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using MobileIntegration.ServiceDefaults;
using Npgsql;
using static MobileIntegration.Tests.MobileServices.ConfigurationService;

namespace MobileIntegration.Tests.MobileServices;

/// <summary>What flags evaluate to, and how clients learn of changes.</summary>
public sealed class ConfigurationTests(ConfigurationService service) : IClassFixture<ConfigurationService>
{
    private readonly string _app = service.NewApp();

    [Fact]
    public async Task Rules_are_asked_in_their_order_and_say_why()
    {
        await service.PublishAsync(_app, "checkout", OnOff(rules:
        [
            new { name = "not yet on the old", versions = "<2.0.0", serve = "off" },
            new { name = "gold", attributes = new { plan = new[] { "gold", "platinum" } }, platforms = new[] { "ios" }, serve = "on" },
            new { name = "at home", locales = new[] { "de" }, osVersions = ">=16.0.0", serve = "on" },
        ]));

        Assert.Equal("DEFAULT", (await EvaluateAsync(new { plan = "gold", platform = "android", appVersion = "2.1.0" })).Text("reason"));
        Assert.False((await EvaluateAsync(new { plan = "gold", platform = "ios", appVersion = "1.9.0" })).GetProperty("value").GetBoolean());
        var gold = await EvaluateAsync(new { plan = "gold", platform = "ios", appVersion = "2.0.0" });
        Assert.Equal(("checkout", "TARGETING_MATCH", "on"), (gold.Text("key"), gold.Text("reason"), gold.Text("variant")));
        Assert.True(gold.GetProperty("value").GetBoolean());
        Assert.Equal("gold", gold.GetProperty("metadata").Text("rule"));
        Assert.Equal("at home", (await EvaluateAsync(new { locale = "de-AT", osVersion = "16", appVersion = "3.0.0" })).GetProperty("metadata").Text("rule"));
        Assert.Equal("DEFAULT", (await EvaluateAsync(new { locale = "den", osVersion = "16", appVersion = "3.0.0" })).Text("reason"));

        Task<JsonElement> EvaluateAsync(object context) => ConfigurationService.EvaluateAsync(service.One.Http, _app, "checkout", context);
    }

    [Fact]
    public async Task A_rule_names_the_user_of_the_token_and_takes_nobodys_word_for_it()
    {
        await service.PublishAsync(_app, "staff", OnOff(rules: [new { name = "staff", users = new[] { "ada" }, serve = "on" }]));
        using var nobody = new HttpClient { BaseAddress = service.One.Address };
        using var ada = new HttpClient { BaseAddress = service.One.Address };
        ada.Authorize(TestAuthority.Shared.Token("home"));

        Assert.True((await EvaluateAsync(ada, _app, "staff", new { })).GetProperty("value").GetBoolean());
        Assert.False((await EvaluateAsync(nobody, _app, "staff", new { sub = "ada", user = "ada", targetingKey = "ada" })).GetProperty("value").GetBoolean());
        ada.Authorize("not.a.token");
        Assert.Equal("GENERAL", (await EvaluateAsync(ada, _app, "staff", new { }, 401)).Text("errorCode"));
    }

    /// <summary>The vectors of the README.</summary>
    [Theory]
    [InlineData("new-checkout", "user-1", 7683)]
    [InlineData("new-checkout", "user-2", 9961)]
    [InlineData("new-checkout", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", 1970)]
    [InlineData("prices", "user-1", 4944)]
    [InlineData("prices", "Zoë", 6634)]
    public void Buckets_are_those_of_the_published_vectors(string flag, string targetingKey, int bucket) => Assert.Equal(bucket, AppDecisions.Bucket(flag, targetingKey));

    [Fact]
    public async Task A_split_serves_its_shares_and_a_share_that_grows_keeps_whom_it_had()
    {
        await service.PublishAsync(_app, "split", Split(10));
        var before = await OnesAsync();
        await service.PublishAsync(_app, "split", Split(25.5m), service.One);
        var after = await OnesAsync();

        Assert.InRange(before.Count, 60, 140);
        Assert.InRange(after.Count, 200, 310);
        Assert.Subset(after, before);
        Assert.Equal("TARGETING_KEY_MISSING", (await EvaluateAsync(service.One.Http, _app, "split", new { }, 400)).Text("errorCode"));

        static object Split(decimal on) => OnOff(rules: [new { name = "some", split = new { on, off = 100 - on } }]);
        async Task<HashSet<int>> OnesAsync()
        {
            var ones = new HashSet<int>();
            foreach (var user in Enumerable.Range(0, 1000))
            {
                var evaluation = await EvaluateAsync(service.One.Http, _app, "split", new { targetingKey = $"user-{user}" });
                Assert.Equal("SPLIT", evaluation.Text("reason"));
                if (evaluation.Text("variant") == "on")
                {
                    ones.Add(user);
                }
            }
            return ones;
        }
    }

    [Fact]
    public async Task A_flag_that_requires_another_follows_it()
    {
        await service.PublishAsync(_app, "base", OnOff("on"));
        await service.PublishAsync(_app, "top", OnOff("off", [new { name = "all", serve = "on" }], [new { flag = "base", variants = new[] { "on" } }]));
        Assert.Equal("on", (await EvaluateAsync(service.One.Http, _app, "top", new { })).Text("variant"));

        await service.PublishAsync(_app, "base", OnOff("off", [new { name = "all", serve = "on" }], enabled: false));

        Assert.Equal("DISABLED", (await EvaluateAsync(service.One.Http, _app, "base", new { })).Text("reason"));
        Assert.Equal(("off", "DEFAULT"), ((await EvaluateAsync(service.One.Http, _app, "top", new { })).Text("variant"), (await EvaluateAsync(service.One.Http, _app, "top", new { })).Text("reason")));
        using var removed = await RemoveAsync("base");
        Assert.Contains("'top' requires 'base'", (await removed.ProblemAsync(409)).Text("detail"), StringComparison.Ordinal);
        Assert.Equal(0, await service.TryPublishAsync(_app, "base", OnOff(requires: [new { flag = "top", variants = new[] { "on" } }])));
        Assert.Equal(0, await service.TryPublishAsync(_app, "lost", OnOff(requires: [new { flag = "nowhere", variants = new[] { "on" } }])));
    }

    [Fact]
    public async Task The_ETag_of_all_flags_changes_with_the_rules_and_with_the_context()
    {
        await service.PublishAsync(_app, "plan", OnOff(rules: [new { name = "gold", attributes = new { plan = new[] { "gold" } }, serve = "on" }]));
        await service.PublishAsync(_app, "needs-key", OnOff(rules: [new { name = "half", split = new { on = 50, off = 50 } }]));
        var (status, free, body) = await AllAsync(new { plan = "free" });
        Assert.Equal(200, status);
        Assert.Equal(["needs-key", "plan"], body!.Value.GetProperty("flags").EnumerateArray().Select(flag => flag.Text("key")));
        Assert.Equal("TARGETING_KEY_MISSING", body.Value.GetProperty("flags")[0].Text("errorCode"));
        Assert.Equal("sse", body.Value.GetProperty("eventStreams")[0].Text("type"));

        Assert.Equal(304, (await AllAsync(new { plan = "free" }, free)).Status);
        Assert.Equal(200, (await AllAsync(new { plan = "gold" }, free)).Status);
        await service.PublishAsync(_app, "plan", OnOff("on"));
        Assert.Equal(200, (await AllAsync(new { plan = "free" }, free)).Status);

        async Task<(int Status, string Tag, JsonElement? Body)> AllAsync(object context, string? tag = null)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/ofrep/v1/evaluate/flags") { Content = JsonContent.Create(new { context }) };
            request.Headers.Add("X-App-Id", _app);
            if (tag is not null)
            {
                request.Headers.IfNoneMatch.Add(EntityTagHeaderValue.Parse(tag));
            }
            using var response = await service.One.Http.SendAsync(request);
            return ((int)response.StatusCode, response.Headers.ETag!.ToString(), response.StatusCode is HttpStatusCode.OK ? await response.Content.ReadFromJsonAsync<JsonElement>() : null);
        }
    }

    [Theory]
    [InlineData("""{"context": """, "PARSE_ERROR")]
    [InlineData("""{"context":{"a":1,"a":2}}""", "PARSE_ERROR")]
    [InlineData("""[]""", "INVALID_CONTEXT")]
    [InlineData("""{"context":[]}""", "INVALID_CONTEXT")]
    [InlineData("""{"context":{"targetingKey":{}}}""", "INVALID_CONTEXT")]
    [InlineData("""{"context":{"targetingKey":"a"}}""", "FLAG_NOT_FOUND")]
    public async Task What_cannot_be_evaluated_is_told_in_the_protocols_words(string body, string code)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/ofrep/v1/evaluate/flags/some") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Add("X-App-Id", _app);
        request.Headers.Add("X-App-Version", "1.0.0");
        using var response = await service.Gateway.Http.SendAsync(request);
        Assert.Equal(code is "FLAG_NOT_FOUND" ? 404 : 400, (int)response.StatusCode);
        var failure = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal((code, "some"), (failure.Text("errorCode"), failure.Text("key")));
        Assert.NotEqual("", failure.Text("errorDetails"));
    }

    [Fact]
    public async Task A_change_reaches_the_streams_of_every_replica_of_its_app_alone()
    {
        var version = await service.PublishAsync(_app, "live", OnOff());
        using var one = await ReadStreamAsync(service.Gateway.Http, _app);
        using var other = await ReadStreamAsync(service.Other.Http, _app);
        using var stranger = await ReadStreamAsync(service.Other.Http, service.NewApp());
        Assert.Equal(version, await EventAsync(one));
        await EventAsync(other);
        Assert.Equal(0, await EventAsync(stranger));

        version = await service.PublishAsync(_app, "live", OnOff("on"));

        Assert.Equal(version, await EventAsync(one));
        Assert.Equal(version, await EventAsync(other));
        var silence = EventAsync(stranger);
        Assert.False(silence.IsCompleted);
    }

    [Fact]
    public async Task The_beginning_of_a_rule_is_told_and_evaluates_without_a_publication()
    {
        using var stream = await ReadStreamAsync(service.One.Http, _app);
        await EventAsync(stream);
        var from = DateTimeOffset.UtcNow.AddSeconds(3);
        await service.PublishAsync(_app, "sale", OnOff(rules: [new { name = "sale", from, serve = "on" }]));
        var published = await EventAsync(stream);

        Assert.Equal(published, await EventAsync(stream));
        Assert.True(DateTimeOffset.UtcNow >= from);
        Assert.True((await EvaluateAsync(service.One.Http, _app, "sale", new { })).GetProperty("value").GetBoolean());
    }

    [Fact]
    public async Task While_the_database_is_away_the_last_flags_hold_and_changes_are_refused()
    {
        await using var alone = new ConfigurationServiceOfItsOwn();
        await alone.InitializeAsync();
        await alone.Service.PublishAsync(_app, "steady", OnOff("on"));
        await using var server = new NpgsqlConnection(await TestPostgres.CreateDatabaseAsync());
        await server.OpenAsync();
        var name = new NpgsqlConnectionStringBuilder(alone.Service.Database).Database;
        await using var command = new NpgsqlCommand(
            $"alter database {name} with allow_connections false; select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'", server);
        await command.ExecuteNonQueryAsync();

        foreach (var replica in new[] { alone.Service.One, alone.Service.Other })
        {
            Assert.True((await EvaluateAsync(replica.Http, _app, "steady", new { })).GetProperty("value").GetBoolean());
        }
        using var refused = await alone.Service.One.Http.PutAsJsonAsync($"/configuration/admin/apps/{_app}/flags/steady/draft", OnOff());
        await refused.ProblemAsync(503);

        await using var back = new NpgsqlCommand($"alter database {name} with allow_connections true", server);
        await back.ExecuteNonQueryAsync();
        await alone.Service.PublishAsync(_app, "steady", OnOff("off"), alone.Service.Other);
        Assert.False((await EvaluateAsync(alone.Service.Other.Http, _app, "steady", new { })).GetProperty("value").GetBoolean());
    }

    [Fact]
    public async Task The_OpenFeature_providers_for_web_and_server_evaluate_and_follow_changes()
    {
        await service.PublishAsync(_app, "new-checkout", OnOff(rules: [new { name = "rollout", split = new { on = 25, off = 75 } }]));
        await service.PublishAsync(_app, "page-size", new { type = "number", variants = new { few = 10, many = 50 }, @default = "few" });
        await service.PublishAsync(_app, "theme", new { type = "object", variants = new { dark = new { colour = "black", round = true } }, @default = "dark" });
        await service.PublishAsync(_app, "prices", new
        {
            type = "string",
            variants = new { gold = "low", normal = "usual" },
            @default = "normal",
            rules = new[] { new { name = "gold", attributes = new { plan = new[] { "gold" } }, versions = ">=2.0.0", serve = "gold" } },
        });
        var start = new ProcessStartInfo("node", [Path.Combine(NpmClients.Folder(), "ofrep.mjs"), service.Gateway.Address.ToString(), _app])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var node = Process.Start(start)!;
        var error = node.StandardError.ReadToEndAsync();
        var told = await LineAsync();
        Assert.Equal(("SPLIT", "on", true), (told.GetProperty("first").GetProperty("checkout").Text("reason"), told.GetProperty("first").GetProperty("checkout").Text("variant"), told.GetProperty("first").GetProperty("checkout").GetProperty("value").GetBoolean()));
        Assert.Equal(10, told.GetProperty("first").GetProperty("pageSize").GetInt32());
        Assert.Equal("black", told.GetProperty("first").GetProperty("theme").Text("colour"));
        Assert.Equal("FLAG_NOT_FOUND", told.GetProperty("first").Text("unknown"));
        Assert.Equal("usual", told.GetProperty("first").GetProperty("prices").Text("value"));
        Assert.Equal("low", told.GetProperty("second").GetProperty("prices").Text("value"));
        Assert.Equal(("low", "TARGETING_MATCH"), (told.GetProperty("server").Text("value"), told.GetProperty("server").Text("reason")));
        Assert.Equal("FLAG_NOT_FOUND", told.Text("serverUnknown"));
        Assert.True((await LineAsync()).GetProperty("waiting").GetBoolean());

        await service.PublishAsync(_app, "page-size", new { type = "number", variants = new { few = 10, many = 50 }, @default = "many" });

        Assert.Equal(50, (await LineAsync()).GetProperty("pageSize").GetInt32());
        await node.WaitForExitAsync();

        async Task<JsonElement> LineAsync()
        {
            var line = await node.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60));
            return line is null ? throw new InvalidOperationException(await error) : JsonElement.Parse(line);
        }
    }

    private async Task<HttpResponseMessage> RemoveAsync(string key)
    {
        using var current = await service.One.Http.GetAsync($"/configuration/admin/apps/{_app}/flags/{key}");
        using var request = new HttpRequestMessage(HttpMethod.Delete, $"/configuration/admin/apps/{_app}/flags/{key}");
        request.Headers.IfMatch.Add(current.Headers.ETag!);
        return await service.One.Http.SendAsync(request);
    }

    private static async Task<StreamReader> ReadStreamAsync(HttpClient http, string app) => new(await http.GetStreamAsync($"/ofrep/v1/changes/{app}"));

    /// <returns>The id of the next event that says to evaluate again.</returns>
    private static async Task<long> EventAsync(StreamReader stream)
    {
        var id = -1L;
        while (await stream.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30)) is { } line)
        {
            if (line.StartsWith("id: ", StringComparison.Ordinal))
            {
                id = long.Parse(line.AsSpan(4), System.Globalization.CultureInfo.InvariantCulture);
            }
            else if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                Assert.Equal("refetchEvaluation", JsonElement.Parse(line[6..]).Text("type"));
                return id;
            }
        }
        throw new InvalidOperationException("The stream has ended.");
    }

    private sealed class ConfigurationServiceOfItsOwn : IAsyncDisposable
    {
        public ConfigurationService Service { get; } = new();

        public Task InitializeAsync() => Service.InitializeAsync();

        public async ValueTask DisposeAsync() => await Service.DisposeAsync();
    }
}
