using System.IO.Compression;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Gateway;
using MobileServices.Analytics;

namespace MobileIntegration.Tests.MobileServices.Analytics;

/// <summary>Two replicas of the analytics service on one database, behind a gateway. Each test has an app of its own.</summary>
public sealed class AnalyticsService : IAsyncLifetime
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private int _apps;

    internal string Database { get; private set; } = "";

    internal TestService<AnalyticsOptions> One { get; private set; } = null!;

    internal TestService<AnalyticsOptions> Other { get; private set; } = null!;

    internal TestService<DiscoveredDestinations> Gateway { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Database = await TestPostgres.CreateDatabaseAsync();
        One = Start();
        Other = Start();
        Gateway = new(
            ("Management:Port", $"{TestServices.FreePort()}"), ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()),
            TestServices.At("analytics", One.Address), TestServices.At("devices", new("http://127.0.0.1:9")));
    }

    public async Task DisposeAsync()
    {
        await Gateway.DisposeAsync();
        await One.DisposeAsync();
        await Other.DisposeAsync();
    }

    internal TestService<AnalyticsOptions> Start(params (string Key, string Value)[] settings) =>
        new([("ConnectionStrings:mobiledb", Database), ("Run", "analytics"), ("Analytics:PollSeconds", "1"), ("Analytics:SmallestGroup", "1"), .. settings]);

    internal static byte[] Zip(byte[] bytes)
    {
        var zipped = new MemoryStream();
        using (var zip = new GZipStream(zipped, CompressionLevel.Fastest))
        {
            zip.Write(bytes);
        }
        return zipped.ToArray();
    }

    internal async Task<TestApp> NewAppAsync(TestService<AnalyticsOptions>? replica = null)
    {
        var http = (replica ?? One).Http;
        var app = $"com.example.app{Interlocked.Increment(ref _apps)}";
        using var saved = await http.PutAsJsonAsync($"/analytics/admin/apps/{app}", new { name = app });
        Assert.True(saved.IsSuccessStatusCode, await saved.Content.ReadAsStringAsync());
        using var made = await http.PostAsJsonAsync($"/analytics/admin/apps/{app}/keys", new { name = "test" });
        Assert.True(made.IsSuccessStatusCode, await made.Content.ReadAsStringAsync());
        return new(app, (await made.Content.ReadFromJsonAsync<JsonElement>()).Text("key"), http);
    }

    /// <summary>A message as SDKs make them; <paramref name="at"/> is by the device's clock.</summary>
    internal static Dictionary<string, object?> Track(string id, string person, string name, DateTimeOffset at, string version = "1.0.0", object? properties = null, string? user = null) => new()
    {
        ["type"] = "track",
        ["messageId"] = id,
        ["anonymousId"] = person,
        ["userId"] = user,
        ["event"] = name,
        ["timestamp"] = at.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'"),
        ["properties"] = properties,
        ["context"] = new { app = new { version }, os = new { name = "Android", version = "16" }, device = new { model = "Pixel 9" }, locale = "de", network = new { wifi = true } },
    };
}

/// <summary>An app with a write key.</summary>
internal sealed record TestApp(string Id, string Key, HttpClient Http)
{
    public async Task<HttpResponseMessage> PostAsync(string path, object body, HttpClient? http = null, string? key = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri((http ?? Http).BaseAddress!, path))
        {
            Content = body as HttpContent ?? (body is string text ? new StringContent(text, Encoding.UTF8, "application/json") : JsonContent.Create(body)),
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{key ?? Key}:")));
        return await (http ?? Http).SendAsync(request);
    }

    /// <summary>Sends a batch by a device whose clock is ahead by <paramref name="skew"/>, and expects it to be taken.</summary>
    public async Task SendAsync(IEnumerable<object> batch, TimeSpan skew = default)
    {
        using var response = await PostAsync("/v1/batch", new { batch, sentAt = (DateTimeOffset.UtcNow + skew).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'") });
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
    }

    /// <summary>Waits until all that was taken is in the numbers.</summary>
    public Task CountedAsync() => Eventually.TrueAsync(
        async () => (await Http.GetFromJsonAsync<JsonElement>("/analytics/admin/status")).GetProperty("waiting").GetInt64() is 0, AnalyticsService.Patience);

    public async Task<JsonElement> AskAsync(string query)
    {
        using var response = await Http.GetAsync($"/analytics/apps/{Id}/{query}");
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, body);
        return JsonElement.Parse(body).GetProperty("items");
    }

    /// <summary>All events that are in the numbers.</summary>
    public async Task<long> EventsAsync() => (await AskAsync("series?metric=events")).EnumerateArray().Sum(point => point.GetProperty("number").GetInt64());

    public async Task<Dictionary<string, long>> TopAsync(string by) =>
        (await AskAsync($"top?by={by}&limit=100")).EnumerateArray().ToDictionary(item => item.Text("value"), item => item.GetProperty("events").GetInt64());

    public async Task<Dictionary<string, long>> DroppedAsync()
    {
        var dropped = await Http.GetFromJsonAsync<JsonElement>($"/analytics/admin/apps/{Id}/dropped");
        return dropped.EnumerateArray().GroupBy(one => one.Text("reason")).ToDictionary(one => one.Key, one => one.Sum(day => day.GetProperty("events").GetInt64()));
    }
}
