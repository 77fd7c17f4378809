using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using FrontendServices.Home;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using MobileIntegration.ServiceDefaults;

namespace MobileIntegration.Tests.FrontendServices;

/// <summary>Two frontends before the back office: one has nothing to fall back on, the other asks every time and keeps what it was answered.</summary>
public sealed class SectionFrontends : IDisposable
{
    private TestService<HomeComposer>? _bare;
    private TestService<HomeComposer>? _keeping;

    internal HttpClient Bare(BackOffice office) => (_bare ??= Start(office.Integration.Address, ("Sections:FreshSeconds", "0"), ("Sections:StaleSeconds", "0"))).Http;

    internal HttpClient Keeping(BackOffice office) => (_keeping ??= Start(office.Integration.Address, ("Sections:FreshSeconds", "0"))).Http;

    internal static TestService<HomeComposer> Start(Uri integration, params (string, string)[] settings) => new(
    [
        ("Run", "home"), ("Home:SuggestionsSeconds", "3600"),
        .. ((string[])["customers", "orders", "products", "inventory"]).Select(service => TestServices.At(service, integration)),
        .. settings,
    ]);

    public void Dispose()
    {
        _bare?.Dispose();
        _keeping?.Dispose();
    }
}

/// <summary>The partial-failure contract of every composed answer, on the home page.</summary>
[Collection(nameof(BackOffice))]
public sealed class SectionTests(BackOffice office, SectionFrontends frontends) : IClassFixture<SectionFrontends>
{
    private const int DeadlineMs = 700;
    private static readonly (string System, string Section)[] Parts = [("crm", "profile"), ("erp", "orders"), ("pim", "suggestions"), ("wms", "stock")];

    public static TheoryData<string> Failures { get; } = new() { "slow", "down", "refusing" };

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task Whichever_of_the_four_systems_fail_the_other_sections_stand_and_the_page_is_there_in_time(string failure)
    {
        await PrimeAsync();
        for (var failing = 0; failing < 16; failing++)
        {
            var systems = Parts.Where((_, at) => (failing >> at & 1) is 1).Select(part => part.System).ToHashSet();
            await Task.WhenAll(systems.Select(system => FailAsync(system, failure)));
            try
            {
                // A system that is up may still be left alone for a moment after all the failing before.
                await Eventually.TrueAsync(async () =>
                {
                    var pages = await Task.WhenAll(PageAsync(frontends.Bare(office)), PageAsync(frontends.Keeping(office)));
                    foreach (var (system, section) in Parts.Where(part => systems.Contains(part.System)))
                    {
                        AssertFailed(pages[0].GetProperty(section), system);
                        AssertStale(pages[1].GetProperty(section));
                    }
                    return pages.All(page => Parts.Where(part => !systems.Contains(part.System)).All(part => Status(page, part.Section) == "fresh"));
                }, TimeSpan.FromSeconds(30));
            }
            finally
            {
                await Task.WhenAll(systems.Select(system => office.Backends.Http.DeleteAsync($"/{system}/faults")));
            }
        }
    }

    [Theory]
    [InlineData("profile")]
    [InlineData("orders,stock")]
    public async Task Sections_that_are_not_asked_for_are_skipped(string sections)
    {
        var page = await office.Frontend.Http.GetFromJsonAsync<JsonElement>($"/api/home?customer=C-000123&sections={sections}");
        foreach (var (_, section) in Parts)
        {
            Assert.Equal(sections.Split(',').Contains(section) ? "fresh" : "skipped", Status(page, section));
            Assert.Equal(sections.Split(',').Contains(section), page.GetProperty(section).TryGetProperty("data", out _));
        }
    }

    [Fact]
    public async Task Fields_that_are_not_asked_for_are_left_out_also_of_lists()
    {
        var page = await office.Frontend.Http.GetFromJsonAsync<JsonElement>("/api/home?customer=C-000123&fields=profile.givenName,profile.loyalty.points,orders.id,orders.total");

        var whole = await office.Frontend.Http.GetFromJsonAsync<JsonElement>("/api/home?customer=C-000123");
        var profile = page.GetProperty("profile").GetProperty("data");
        var wholeProfile = whole.GetProperty("profile").GetProperty("data");
        Assert.Equal(["givenName", "loyalty"], profile.EnumerateObject().Select(member => member.Name));
        Assert.Equal(["points"], profile.GetProperty("loyalty").EnumerateObject().Select(member => member.Name));
        Assert.Equal(wholeProfile.GetProperty("loyalty").GetProperty("points").GetInt32(), profile.GetProperty("loyalty").GetProperty("points").GetInt32());
        Assert.All(page.GetProperty("orders").GetProperty("data").EnumerateArray(), order => Assert.Equal(["id", "total"], order.EnumerateObject().Select(member => member.Name)));
        Assert.True(JsonElement.DeepEquals(whole.GetProperty("stock"), page.GetProperty("stock")));
    }

    [Theory]
    [InlineData("sections=", "sections")]
    [InlineData("sections=profile,everything", "sections")]
    [InlineData("sections=profile'--", "sections")]
    [InlineData("fields=", "fields")]
    [InlineData("fields=givenName", "fields")]
    [InlineData("fields=profile.password", "fields")]
    [InlineData("fields=profile.givenName.first", "fields")]
    [InlineData("fields=orders.total.minorUnits.a.b.c", "fields")]
    [InlineData("fields=profile..", "fields")]
    public async Task A_section_or_field_that_is_not_there_is_named_in_a_400(string query, string parameter)
    {
        var problem = await (await office.Frontend.Http.GetAsync($"/api/home?customer=C-000123&{query}")).ProblemAsync(400);
        Assert.True(problem.GetProperty("errors").TryGetProperty(parameter, out _));
    }

    [Fact]
    public async Task A_page_that_the_app_has_is_a_304_until_it_changes()
    {
        using var first = await office.Frontend.Http.GetAsync("/api/home?customer=C-000124&sections=profile");
        Assert.True(first.Headers.CacheControl is { Private: true, NoCache: true });
        Assert.Equal(HttpStatusCode.NotModified, await AgainAsync("sections=profile"));
        Assert.Equal(HttpStatusCode.OK, await AgainAsync("sections=profile,orders"));
        Assert.Equal(HttpStatusCode.OK, await AgainAsync("sections=profile&fields=profile.id"));
        await office.WithFaultAsync("crm", new { errorRate = 1, errorStatus = 503 }, async () => Assert.Equal(HttpStatusCode.OK, await AgainAsync("sections=profile")));

        async Task<HttpStatusCode> AgainAsync(string query)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/home?customer=C-000124&{query}");
            request.Headers.IfNoneMatch.Add(first.Headers.ETag!);
            using var response = await office.Frontend.Http.SendAsync(request);
            return response.StatusCode;
        }
    }

    [Fact]
    public async Task A_page_says_that_it_waited_as_the_app_prefers()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/home?customer=C-000123");
        request.Headers.Add("Prefer", "respond-async, wait=25");
        using var response = await office.Frontend.Http.SendAsync(request);
        Assert.Equal("wait=25", Assert.Single(response.Headers.GetValues("Preference-Applied")));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("soon")]
    [InlineData("99999999999")]
    public async Task A_deadline_that_nobody_can_keep_is_a_400(string milliseconds)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/home?customer=C-000123");
        request.Headers.Add(Deadline.Header, milliseconds);
        Assert.Contains(Deadline.Header, (await (await office.Frontend.Http.SendAsync(request)).ProblemAsync(400)).GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("customers", 401)]
    [InlineData("orders", 403)]
    [InlineData("products", 403)]
    [InlineData("inventory", 401)]
    public async Task That_the_token_is_not_enough_for_one_section_is_the_answer_of_the_whole(string service, int status)
    {
        var deadlines = new List<int>();
        await using var stub = (await TestServices.StartAsync(_ => { }, app => app.Run(async http =>
        {
            lock (deadlines)
            {
                deadlines.Add(int.Parse(http.Request.Headers[Deadline.Header].ToString(), CultureInfo.InvariantCulture));
            }
            if (http.Request.Path.StartsWithSegments("/denied"))
            {
                await Results.Problem("No.", statusCode: status).ExecuteAsync(http);
                return;
            }
            await Results.Json(http.Request.Path.Value switch
            {
                "/products/suggestions" => new { productIds = (string[])["100001"] },
                "/stock" => new { stores = Array.Empty<int>(), levels = Array.Empty<int>() },
                "/customers/C-000123" => JsonSerializer.Deserialize<object>(Customer),
                _ => Array.Empty<int>(),
            }).ExecuteAsync(http);
        }))).App;
        var address = TestServices.AddressOf(stub.Services);
        using var frontend = SectionFrontends.Start(address, TestServices.At(service, new(address, "/denied")), ("Sections:FreshSeconds", "0"), ("Deadlines:DefaultMilliseconds", "20000"));
        var answers = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => frontend.Http.GetAsync("/api/home?customer=C-000123")));
        foreach (var answer in answers)
        {
            await answer.ProblemAsync(status);
            Assert.Equal("Bearer", answer.Headers.WwwAuthenticate.Single().Scheme);
        }
        Assert.All(deadlines, one => Assert.InRange(one, 1, 20_000));
    }

    private const string Customer = """
        {"id":"C-000123","givenName":"Ada","familyName":"M","email":"a@example.com","language":"de","loyalty":{"tier":"gold","points":1,"since":"2020-01-01"},
         "addresses":[{"type":"home","street":"Ring 1","postcode":"1","city":"B","country":"DE"}]}
        """;

    private static void AssertFailed(JsonElement section, string system)
    {
        Assert.Equal("failed", section.GetProperty("status").GetString());
        Assert.False(section.TryGetProperty("data", out _));
        var problem = section.GetProperty("problem");
        Assert.NotEmpty(problem.GetProperty("type").GetString()!);
        Assert.NotEmpty(problem.GetProperty("title").GetString()!);
        Assert.InRange(problem.GetProperty("status").GetInt32(), 502, 504);
        Assert.True(!problem.TryGetProperty("system", out var named) || named.GetString() == system, section.ToString());
    }

    private static void AssertStale(JsonElement section)
    {
        Assert.Equal("stale", section.GetProperty("status").GetString());
        Assert.InRange(section.GetProperty("age").GetInt32(), 0, 600);
        Assert.NotEqual(JsonValueKind.Null, section.GetProperty("data").ValueKind);
        Assert.InRange(section.GetProperty("problem").GetProperty("status").GetInt32(), 502, 504);
    }

    private static string Status(JsonElement page, string section) => page.GetProperty(section).GetProperty("status").GetString()!;

    private Task PrimeAsync() => Eventually.TrueAsync(async () =>
    {
        var pages = await Task.WhenAll(PageAsync(frontends.Bare(office)), PageAsync(frontends.Keeping(office)));
        return pages.All(page => Parts.All(part => Status(page, part.Section) == "fresh"));
    }, TimeSpan.FromSeconds(30));

    private async Task FailAsync(string system, string failure) => (await office.Backends.Http.PutAsJsonAsync<object>($"/{system}/faults", failure switch
    {
        "slow" => new { latencyMs = 20_000 },
        "down" => new { outage = true },
        _ => new { errorRate = 1, errorStatus = 503 },
    })).EnsureSuccessStatusCode();

    /// <summary>That it came in time is seen with a margin of ten seconds: a loaded machine is slow, a page without a deadline would take twenty.</summary>
    private static async Task<JsonElement> PageAsync(HttpClient frontend)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/home?customer=C-000123");
        request.Headers.Add(Deadline.Header, DeadlineMs.ToString(CultureInfo.InvariantCulture));
        var began = Stopwatch.GetTimestamp();
        using var response = await frontend.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var page = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.InRange(Stopwatch.GetElapsedTime(began).TotalMilliseconds, 0, DeadlineMs + 10_000);
        return page;
    }
}
