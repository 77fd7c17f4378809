using System.Net.Http.Json;
using System.Text.Json;
using Gateway;
using MobileServices.Configuration;

namespace MobileIntegration.Tests.MobileServices;

/// <summary>Two replicas of the configuration service on one database, behind a gateway. Each test has an app of its own.</summary>
public sealed class ConfigurationService : IAsyncLifetime
{
    private int _apps;

    internal string Database { get; private set; } = "";

    internal TestService<ConfigurationOptions> One { get; private set; } = null!;

    internal TestService<ConfigurationOptions> Other { get; private set; } = null!;

    internal TestService<DiscoveredDestinations> Gateway { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Database = await TestPostgres.CreateDatabaseAsync();
        One = Start();
        Other = Start();
        Gateway = new(
            ("Management:Port", $"{TestServices.FreePort()}"), ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()),
            TestServices.At("configuration", One.Address), TestServices.At("devices", new("http://127.0.0.1:9")));
    }

    public async Task DisposeAsync()
    {
        await Gateway.DisposeAsync();
        await One.DisposeAsync();
        await Other.DisposeAsync();
    }

    internal TestService<ConfigurationOptions> Start(params (string Key, string Value)[] settings) =>
        new([("ConnectionStrings:mobiledb", Database), ("Run", "configuration"), ("Configuration:PollSeconds", "3600"), .. settings]);

    internal string NewApp() => $"com.example.app{Interlocked.Increment(ref _apps)}";

    /// <summary>Saves a draft and brings it into force; returns when a replica has it.</summary>
    internal async Task<long> PublishAsync(string app, string key, object flag, TestService<ConfigurationOptions>? replica = null)
    {
        var version = await TryPublishAsync(app, key, flag);
        Assert.True(version > 0, $"{key} was not published.");
        var sets = (FlagSets)(replica ?? One).Services.GetService(typeof(FlagSets))!;
        await Eventually.TrueAsync(() => sets.Of(app).Version >= version, TimeSpan.FromSeconds(30));
        return version;
    }

    internal async Task<long> TryPublishAsync(string app, string key, object flag)
    {
        using var draft = await One.Http.PutAsJsonAsync($"/configuration/admin/apps/{app}/flags/{key}/draft", flag);
        Assert.True(draft.IsSuccessStatusCode, await draft.Content.ReadAsStringAsync());
        using var published = await One.Http.PostAsJsonAsync($"/configuration/admin/apps/{app}/flags/{key}/publish", new { });
        return published.IsSuccessStatusCode ? (await published.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("version").GetInt64() : 0;
    }

    internal static object OnOff(string defaultVariant = "off", object[]? rules = null, object[]? requires = null, bool enabled = true) => new
    {
        type = "boolean",
        variants = new { on = true, off = false },
        @default = defaultVariant,
        enabled,
        rules = rules ?? [],
        requires = requires ?? [],
    };

    internal static async Task<JsonElement> EvaluateAsync(HttpClient http, string app, string key, object context, int status = 200)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/ofrep/v1/evaluate/flags/{key}") { Content = JsonContent.Create(new { context }) };
        request.Headers.Add("X-App-Id", app);
        using var response = await http.SendAsync(request);
        var body = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True(status == (int)response.StatusCode, body.ToString());
        return body;
    }
}
