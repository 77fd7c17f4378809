using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MobileIntegration.Contracts;
using MobileIntegration.Tests.IntegrationServices;

namespace MobileIntegration.Tests.FrontendServices;

/// <summary>What an app's user sees and sets of himself.</summary>
[Collection(nameof(BackOffice))]
public sealed class AccountTests(BackOffice office)
{
    [Fact]
    public async Task A_changed_address_is_in_the_account_and_in_the_crm()
    {
        using var app = App("C-000311");
        var changed = await new Commands(app).RunAsync(
            "/api/account/addresses/work", new { street = "Ring", houseNumber = "7", postcode = "10115", city = "Berlin", country = "DE" }, HttpMethod.Put);
        Assert.Equal(CommandStatusCode.Done, changed.Status);
        var addresses = (await AccountAsync(app)).GetProperty("addresses").GetProperty("data").EnumerateArray().ToList();
        Assert.Equal("Ring 7", addresses.Single(address => address.GetProperty("type").GetString() == "work").GetProperty("street").GetString());
    }

    [Fact]
    public async Task Preferences_are_set_unless_somebody_else_did_in_between()
    {
        using var app = App("C-000312");
        Assert.Equal(0, (await AccountAsync(app)).GetProperty("preferences").GetProperty("data").GetProperty("revision").GetInt32());
        using var first = await SetAsync("\"0\"", new { theme = "dark", language = "de", orderNews = false, offers = true });
        Assert.Equal((HttpStatusCode.NoContent, "\"1\""), (first.StatusCode, first.Headers.ETag?.Tag));
        await (await SetAsync("\"0\"", new { theme = "light" })).ProblemAsync(412);
        await (await SetAsync("\"x\"", new { theme = "light" })).ProblemAsync(400);
        var preferences = (await AccountAsync(app)).GetProperty("preferences").GetProperty("data");
        Assert.Equal(("dark", "de", 1), (preferences.GetProperty("theme").GetString(), preferences.GetProperty("language").GetString(), preferences.GetProperty("revision").GetInt32()));
        Assert.Equal("\"2\"", (await SetAsync(null, new { theme = "light" })).Headers.ETag?.Tag);

        async Task<HttpResponseMessage> SetAsync(string? match, object preferences)
        {
            using var request = new HttpRequestMessage(HttpMethod.Put, "/api/account/preferences") { Content = JsonContent.Create(preferences) };
            if (match is not null)
            {
                request.Headers.TryAddWithoutValidation("If-Match", match);
            }
            return await app.SendAsync(request);
        }
    }

    [Fact]
    public async Task The_last_word_on_a_consent_counts_and_nobody_consents_without_being_asked()
    {
        using var app = App("C-000313");
        Assert.All(await ConsentsAsync(), consent => Assert.False(consent.GetProperty("granted").GetBoolean()));
        foreach (var granted in (bool[])[true, true, false, true])
        {
            (await app.PutAsJsonAsync("/api/account/consents/marketing", new { granted, textVersion = "2026-03" })).EnsureSuccessStatusCode();
        }
        Assert.Equal(["marketing"], (await ConsentsAsync()).Where(consent => consent.GetProperty("granted").GetBoolean()).Select(consent => consent.GetProperty("purpose").GetString()));
        await (await app.PutAsJsonAsync("/api/account/consents/everything", new { granted = true, textVersion = "1" })).ProblemAsync(400);
        await (await app.PutAsJsonAsync("/api/account/consents/marketing", new { granted = true, textVersion = "' or 1=1" })).ProblemAsync(400);

        async Task<List<JsonElement>> ConsentsAsync() => [.. (await AccountAsync(app)).GetProperty("consents").GetProperty("data").EnumerateArray()];
    }

    [Fact]
    public async Task Without_the_crm_the_rest_of_the_account_stands()
    {
        using var app = App("C-000314");
        await office.WithFaultAsync("crm", new { errorRate = 1, errorStatus = 503 }, async () =>
        {
            var account = await AccountAsync(app);
            Assert.Equal("crm", account.GetProperty("profile").GetProperty("problem").GetProperty("system").GetString());
            Assert.Equal("failed", account.GetProperty("addresses").GetProperty("status").GetString());
            Assert.Equal("fresh", account.GetProperty("preferences").GetProperty("status").GetString());
        });
        await (await app.GetAsync("/api/account?customer=C-000315")).ProblemAsync(403);
        await (await office.Frontend.Http.GetAsync("/api/account", TestAuthority.Shared.CustomerToken("C-000314", "home"))).ProblemAsync(403);
    }

    private HttpClient App(string customer)
    {
        var http = new HttpClient { BaseAddress = office.Frontend.Address };
        http.Authorize(TestAuthority.Shared.CustomerToken(customer, "account"));
        return http;
    }

    private static async Task<JsonElement> AccountAsync(HttpClient app) => await app.GetFromJsonAsync<JsonElement>("/api/account");
}
