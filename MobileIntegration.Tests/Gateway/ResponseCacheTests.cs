using System.Collections.Concurrent;
using System.Net;
using Gateway;
using Microsoft.AspNetCore.Http;
using Microsoft.IdentityModel.JsonWebTokens;
using MobileIntegration.Contracts;

namespace MobileIntegration.Tests.Gateway;

/// <summary>A service that marks its answers in every way.</summary>
public sealed class ResponseCacheTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly string _ada = TestAuthority.Shared.Token("home devices");
    private readonly string _bob = TestAuthority.Shared.Token("home devices", token => token.Claims["sub"] = "bob");
    private Upstream _service = null!;
    private (string Key, string Value) _database;
    private TestService<DiscoveredDestinations> _gateway = null!;
    private RequestDelegate? _answer;

    public async Task InitializeAsync()
    {
        _service = await Upstream.StartAsync(context => _answer is { } answer ? answer(context) : AnswerAsync(context));
        _database = ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync());
        _gateway = Start();
    }

    public async Task DisposeAsync()
    {
        await _gateway.DisposeAsync();
        await _service.DisposeAsync();
    }

    [Fact]
    public async Task A_hundred_callers_of_a_resource_that_is_not_there_yet_cost_the_service_one_call()
    {
        var free = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _answer = async context =>
        {
            await free.Task;
            await AnswerAsync(context);
        };
        var calls = Enumerable.Range(0, 100).Select(n => GetAsync("/api/home/public?max-age=600", n % 2 is 0 ? _ada : _bob)).ToArray();
        await Eventually.TrueAsync(() => Reached() > 0, Patience);
        free.SetResult();
        var answers = await Task.WhenAll(calls);
        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
        Assert.Single(await BodiesAsync(answers));
        Assert.Equal(1, Reached());
    }

    [Fact]
    public async Task When_it_expires_a_hundred_callers_do_not_stampede()
    {
        var first = await (await GetAsync("/api/home/public?max-age=1", _ada)).Content.ReadAsStringAsync();
        await Eventually.TrueAsync(async () => await (await GetAsync("/api/home/public?max-age=1", _ada)).Content.ReadAsStringAsync() != first, Patience);
        var before = Reached();
        _answer = context =>
        {
            context.Response.Headers.CacheControl = "public, max-age=600";
            return context.Response.WriteAsync(Guid.NewGuid().ToString());
        };
        await Eventually.TrueAsync(async () =>
        {
            var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => GetAsync("/api/home/public?max-age=1", _bob)));
            _ = await BodiesAsync(answers);
            return Reached() > before;
        }, Patience);
        // One, and where a caller had missed just before the answer was kept, one more.
        Assert.InRange(Reached(), before + 1, before + 3);
    }

    [Theory]
    [InlineData("private, max-age=600")]
    [InlineData("max-age=600")]
    public async Task Of_two_users_neither_ever_sees_what_is_the_others(string control)
    {
        _answer = context =>
        {
            context.Response.Headers.CacheControl = control;
            return context.Response.WriteAsync(new JsonWebToken(context.Request.Headers.Authorization.ToString()["Bearer ".Length..]).Subject);
        };
        await Parallel.ForAsync(0, 200, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (n, ct) =>
        {
            var (token, user) = n % 2 is 0 ? (_ada, "ada") : (_bob, "bob");
            Assert.Equal(user, await (await GetAsync($"/api/home/mine?{n / 50}", token)).Content.ReadAsStringAsync(ct));
        });
        // A few for the first look, then one for each user and address.
        var before = Reached();
        Assert.InRange(before, 8, 60);
        foreach (var token in (string[])[_ada, _bob])
        {
            using var kept = await GetAsync("/api/home/mine?0", token);
            Assert.NotNull(kept.Headers.Age);
        }
        Assert.Equal(before, Reached());
    }

    [Fact]
    public async Task A_resource_that_becomes_private_is_no_longer_shared()
    {
        Assert.Equal(1, await NewCallsAsync("/api/home/x?max-age=1", _ada, _bob));
        _answer = context =>
        {
            context.Response.Headers.CacheControl = "private, max-age=600";
            return context.Response.WriteAsync(context.Request.Headers.Authorization.ToString());
        };
        await Eventually.TrueAsync(async () => await BodyAsync("/api/home/x?max-age=1", _ada) == $"Bearer {_ada}", Patience);
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal($"Bearer {_bob}", await BodyAsync("/api/home/x?max-age=1", _bob));
            Assert.Equal($"Bearer {_ada}", await BodyAsync("/api/home/x?max-age=1", _ada));
        }
    }

    [Theory]
    [InlineData("no-store")]
    [InlineData("public, no-cache, max-age=600")]
    [InlineData("public, max-age=0")]
    [InlineData("public")]
    [InlineData(null)]
    public async Task What_a_service_does_not_mark_is_not_kept(string? control)
    {
        _answer = context =>
        {
            context.Response.Headers.CacheControl = control;
            return context.Response.WriteAsync("answer");
        };
        Assert.Equal(4, await NewCallsAsync("/api/home/x", _ada, _ada, _ada, _ada));
    }

    [Fact]
    public async Task An_answer_with_a_cookie_an_error_and_what_broke_off_are_not_kept()
    {
        _answer = context =>
        {
            context.Response.Headers.CacheControl = "public, max-age=600";
            switch (context.Request.Path.Value)
            {
                case "/api/home/cookie": context.Response.Headers.SetCookie = "a=b"; break;
                case "/api/home/error": context.Response.StatusCode = 404; break;
                case "/api/home/star": context.Response.Headers.Vary = "*"; break;
            }
            return context.Response.WriteAsync("answer");
        };
        foreach (var path in (string[])["/api/home/cookie", "/api/home/error", "/api/home/star"])
        {
            Assert.Equal(3, await NewCallsAsync(path, _ada, _ada, _ada));
        }

        _answer = async context =>
        {
            context.Response.Headers.CacheControl = "public, max-age=600";
            await context.Response.WriteAsync("half");
            await context.Response.Body.FlushAsync();
            context.Abort();
        };
        Assert.False(await IsWholeAsync("/api/home/half"));
        _answer = null;
        Assert.NotEqual("half", await BodyAsync("/api/home/half", _ada));
    }

    [Fact]
    public async Task What_the_caller_asks_for_is_done()
    {
        Assert.Equal(1, await NewCallsAsync("/api/home/x?max-age=600", _ada, _ada));
        var kept = await BodyAsync("/api/home/x?max-age=600", _ada);
        using (var private_ = await GetAsync("/api/home/x?max-age=600", _ada, request => request.Headers.CacheControl = new() { NoStore = true }))
        {
            Assert.NotEqual(kept, await private_.Content.ReadAsStringAsync());
        }
        Assert.Equal(kept, await BodyAsync("/api/home/x?max-age=600", _ada));
        using var fresh = await GetAsync("/api/home/x?max-age=600", _ada, request => request.Headers.CacheControl = new() { NoCache = true });
        var renewed = await fresh.Content.ReadAsStringAsync();
        Assert.NotEqual(kept, renewed);
        Assert.Equal(renewed, await BodyAsync("/api/home/x?max-age=600", _ada));
    }

    [Fact]
    public async Task An_answer_that_depends_on_a_header_is_kept_for_each_of_its_values()
    {
        _answer = context =>
        {
            context.Response.Headers.CacheControl = "public, max-age=600";
            context.Response.Headers.Vary = "Accept-Language";
            return context.Response.WriteAsync(context.Request.Headers.AcceptLanguage.ToString());
        };
        foreach (var language in (string[])["de", "en", "de", "en", "fr", "de"])
        {
            using var answer = await GetAsync("/api/home/x", _ada, request => request.Headers.AcceptLanguage.ParseAdd(language));
            Assert.Equal(language, await answer.Content.ReadAsStringAsync());
        }
        // One to learn of it, then one for each.
        Assert.Equal(4, Reached());
    }

    [Fact]
    public async Task An_entity_tag_is_answered_from_what_is_kept_and_passes_otherwise()
    {
        _answer = context =>
        {
            context.Response.Headers.CacheControl = context.Request.Path == "/api/home/kept" ? "public, max-age=600" : "no-cache";
            context.Response.Headers.ETag = "\"1\"";
            if (context.Request.Headers.IfNoneMatch == "\"1\"")
            {
                context.Response.StatusCode = 304;
                return Task.CompletedTask;
            }
            return context.Response.WriteAsync("answer");
        };
        foreach (var (path, calls) in ((string, int)[])[("/api/home/kept", 1), ("/api/home/other", 3)])
        {
            var before = Reached();
            Assert.Equal("answer", await BodyAsync(path, _ada));
            for (var i = 0; i < 2; i++)
            {
                using var unchanged = await GetAsync(path, _ada, request => request.Headers.IfNoneMatch.Add(new("\"1\"")));
                Assert.Equal((HttpStatusCode.NotModified, "\"1\""), (unchanged.StatusCode, unchanged.Headers.ETag?.Tag));
            }
            Assert.Equal(before + calls, Reached());
        }
    }

    [Fact]
    public async Task What_is_kept_has_nothing_of_the_call_it_came_with_and_needs_a_token_as_ever()
    {
        using var first = await GetAsync("/api/home/x?max-age=600", _ada, request => request.Headers.Add("X-Request-Id", "first"));
        using var second = await GetAsync("/api/home/x?max-age=600", _bob, request => request.Headers.Add("X-Request-Id", "second"));
        Assert.Equal("second", second.Headers.GetValues("X-Request-Id").Single());
        Assert.Equal(1, Reached());
        await (await GetAsync("/api/home/x?max-age=600", null)).ProblemAsync(401);
        await (await GetAsync("/api/home/x?max-age=600", TestAuthority.Shared.Token("devices"))).ProblemAsync(403);
    }

    [Fact]
    public async Task What_one_version_of_an_app_is_warned_of_is_not_told_to_another()
    {
        await using var devices = await Upstream.StartAsync(context => Results.Text(
            """{"version":1,"rules":[{"name":"old","appId":"com.example.shop","versions":"1.4.x","action":"warn","priority":1,"percentage":100}],"blockedDevices":[]}""",
            "application/json").ExecuteAsync(context));
        await using var gateway = Start(TestServices.At("devices", devices.Address));
        await Eventually.TrueAsync(async () => await IsWarnedAsync("/api/home/other?max-age=0", "1.4.0"), Patience);
        var before = Reached();
        foreach (var version in (string[])["1.4.0", "1.5.0", "1.4.0", "1.5.0"])
        {
            Assert.Equal(version is "1.4.0", await IsWarnedAsync("/api/home/x?max-age=600", version));
        }
        Assert.Equal(before + 1, Reached());

        async Task<bool> IsWarnedAsync(string path, string version)
        {
            using var answer = await GetAsync(path, _ada, gateway: gateway, more: request =>
            {
                request.Headers.Add("X-App-Id", "com.example.shop");
                request.Headers.Add("X-App-Version", version);
            });
            return answer.Headers.Contains("X-App-Decision");
        }
    }

    [Fact]
    public async Task Replicas_share_what_is_kept_in_Redis_and_go_on_without_it()
    {
        var model = DistributedApplicationTestingBuilder.Create();
        model.AddRedis("redis");
        await using var storage = model.Build();
        await storage.StartAsync();
        var redis = ("ConnectionStrings:redis", (await storage.GetConnectionStringAsync("redis"))!);
        await using var one = Start(redis);
        await using var other = Start(redis);
        var tries = 0;
        // The answer is kept just after the client has it, so the other replica may still miss it.
        await Eventually.TrueAsync(async () =>
        {
            var before = Reached();
            tries++;
            foreach (var gateway in (TestService<DiscoveredDestinations>[])[one, other])
            {
                // They are one to their callers.
                using var answer = await GetAsync($"/api/home/x{tries}?max-age=600", _ada, request => request.Headers.Host = "mobile.example", gateway);
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            }
            return Reached() - before is 1;
        }, Patience);

        await storage.StopAsync();
        foreach (var gateway in (TestService<DiscoveredDestinations>[])[one, other, one, other])
        {
            using var answer = await GetAsync("/api/home/x?max-age=600", _ada, gateway: gateway);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
        await Eventually.TrueAsync(async () => await NewCallsAsync("/api/home/x?max-age=600", one, _ada, _ada) is 2, Patience);
    }

    [Fact]
    public async Task It_can_be_switched_off()
    {
        await using var gateway = Start(("ResponseCache:Enabled", "false"));
        Assert.Equal(3, await NewCallsAsync("/api/home/x?max-age=600", gateway, _ada, _ada, _ada));
    }

    private TestService<DiscoveredDestinations> Start(params (string, string)[] settings) =>
        new([_database, TestServices.At("home", _service.Address), .. settings]);

    private static Task AnswerAsync(HttpContext context)
    {
        context.Response.Headers.CacheControl = $"public, max-age={context.Request.Query["max-age"]}";
        return context.Response.WriteAsync(Guid.NewGuid().ToString());
    }

    private async Task<bool> IsWholeAsync(string path)
    {
        try
        {
            using var answer = await GetAsync(path, _ada);
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private Task<int> NewCallsAsync(string path, params string[] tokens) => NewCallsAsync(path, _gateway, tokens);

    /// <summary>How many of these calls, one after another, the service saw.</summary>
    private async Task<int> NewCallsAsync(string path, TestService<DiscoveredDestinations> gateway, params string[] tokens)
    {
        var before = Reached();
        foreach (var token in tokens)
        {
            _ = await BodyAsync(path, token, gateway);
        }
        return Reached() - before;
    }

    private async Task<string> BodyAsync(string path, string token, TestService<DiscoveredDestinations>? gateway = null)
    {
        using var answer = await GetAsync(path, token, gateway: gateway);
        return await answer.Content.ReadAsStringAsync();
    }

    private static async Task<HashSet<string>> BodiesAsync(IEnumerable<HttpResponseMessage> answers)
    {
        var bodies = new ConcurrentBag<string>();
        foreach (var answer in answers)
        {
            bodies.Add(await answer.Content.ReadAsStringAsync());
        }
        return [.. bodies];
    }

    private async Task<HttpResponseMessage> GetAsync(
        string path, string? token, Action<HttpRequestMessage>? more = null, TestService<DiscoveredDestinations>? gateway = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri((gateway ?? _gateway).Address, path));
        request.Headers.Authorization = token is null ? null : new("Bearer", token);
        more?.Invoke(request);
        return await Client.SendAsync(request);
    }

    private static readonly HttpClient Client = new();

    private int Reached() => _service.Journal.Count(call => call.Path is not AppRuleSet.Path);
}
