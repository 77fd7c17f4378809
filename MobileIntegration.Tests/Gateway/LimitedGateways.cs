using System.Net.Http.Json;
using System.Text.Json;
using Gateway;
using Microsoft.AspNetCore.Http;

namespace MobileIntegration.Tests.Gateway;

/// <summary>Two replicas of the gateway with plans, on a real Redis and PostgreSQL, before one service.</summary>
public sealed class LimitedGateways : IAsyncLifetime
{
    private readonly DistributedApplication _storage;

    public LimitedGateways() : this(null)
    {
    }

    /// <param name="server">A kind of Redis server, such as <c>garnet</c>; what is installed for null.</param>
    internal LimitedGateways(string? server)
    {
        var storage = DistributedApplicationTestingBuilder.Create();
        if (server is not null)
        {
            storage.Configuration["Redis:Server"] = server;
        }
        storage.AddRedis("redis");
        _storage = storage.Build();
    }

    internal Upstream Service { get; private set; } = null!;

    internal string Database { get; private set; } = "";

    internal TestService<DiscoveredDestinations> One { get; private set; } = null!;

    internal TestService<DiscoveredDestinations> Other { get; private set; } = null!;

    internal RequestDelegate Answer { get; set; } = AnsweredAsync;

    internal string Redis { get; private set; } = "";

    public async Task InitializeAsync()
    {
        await _storage.StartAsync();
        Redis = (await _storage.GetConnectionStringAsync("redis"))!;
        Database = await TestPostgres.CreateDatabaseAsync();
        Service = await Upstream.StartAsync(context => Answer(context));
        One = Start();
        Other = Start();
    }

    public async Task DisposeAsync()
    {
        await One.DisposeAsync();
        await Other.DisposeAsync();
        await Service.DisposeAsync();
        await _storage.DisposeAsync();
    }

    internal static Task AnsweredAsync(HttpContext context) => context.Response.WriteAsync("answer");

    internal async Task RedisAsync(string command)
    {
        var result = await _storage.ResourceCommands.ExecuteCommandAsync("redis", command);
        Assert.True(result.Success, result.Message);
    }

    internal TestService<DiscoveredDestinations> Start(params (string Key, string Value)[] settings)
    {
        (string, string)[] plans =
        [
            .. Rate("client", "client", 5), .. Rate("user", "user", 3), .. Rate("device", "device", 3), .. Rate("address", "address", 3), .. Rate("route", "route", 3),
            .. Rate("fifty", "client", 50), .. Rate("hundred", "client", 100),
            .. Plan("second", "client", 1, ("Seconds", "1")),
            .. Plan("day", "client", 4, ("Every", "day")), .. Plan("month", "client", 4, ("Every", "month")), .. Plan("long-day", "client", 6, ("Every", "day")),
            .. Plan("two", "user", 2, ("Seconds", "3600")), .. Plan("two", "client", 4, ("Seconds", "3600")),
            .. Plan("burst", "client", 60, ("Seconds", "3600"), ("Burst", "2")),
        ];
        return new(
        [
            ("ConnectionStrings:mobiledb", Database), ("ConnectionStrings:redis", Redis), ("Limits:RedisMilliseconds", "5000"), ("Limits:PollSeconds", "300"),
            TestServices.At("home", Service.Address), TestServices.At("devices", Service.Address), .. plans, .. settings,
        ]);
    }

    internal static (string Key, string Value)[] Plan(string plan, string per, int permits, params (string Key, string Value)[] more) =>
        [.. more.Select(one => ($"Limits:Plans:{plan}:per-{per}:{one.Key}", one.Value)), .. new[]
        {
            ($"Limits:Plans:{plan}:per-{per}:Per", per), ($"Limits:Plans:{plan}:per-{per}:Permits", $"{permits}"),
        }];

    private static (string Key, string Value)[] Rate(string plan, string per, int permits) => Plan(plan, per, permits, ("Seconds", "86400"));

    /// <summary>A new client with that plan, which both gateways know.</summary>
    internal async Task<Client> ClientAsync(string plan)
    {
        var id = $"client-{Guid.NewGuid():n}";
        var response = await One.Http.PostAsJsonAsync("/admin/clients", new { id, name = "A shop", plan });
        Assert.Equal(201, (int)response.StatusCode);
        var key = (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("key");
        var client = new Client(id, key.GetProperty("key").GetString()!, key.GetProperty("id").GetGuid());
        await Eventually.TrueAsync(async () => (int)(await Other.CallAsync(client.Key, "/nowhere")).StatusCode is 404 && Other.Knows(client.Key), TimeSpan.FromSeconds(15));
        return client;
    }

    internal sealed record Client(string Id, string Key, Guid KeyId);
}

internal static class LimitedCalls
{
    public static async Task<HttpResponseMessage> CallAsync(
        this TestService<DiscoveredDestinations> gateway, string? key, string path = "/api/home", string user = "ada", Action<HttpRequestMessage>? more = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (key is not null)
        {
            request.Headers.TryAddWithoutValidation("X-Api-Key", key);
        }
        request.Headers.Authorization = new("Bearer", TestAuthority.Shared.Token("home devices", token => token.Claims["sub"] = user));
        more?.Invoke(request);
        return await gateway.Http.SendAsync(request);
    }

    public static async Task<int> StatusAsync(
        this TestService<DiscoveredDestinations> gateway, string? key, string path = "/api/home", string user = "ada", Action<HttpRequestMessage>? more = null)
    {
        using var response = await gateway.CallAsync(key, path, user, more);
        return (int)response.StatusCode;
    }

    /// <summary>Without counting a call.</summary>
    public static bool Knows(this TestService<DiscoveredDestinations> gateway, string key) =>
        ((ApiClients)gateway.Services.GetService(typeof(ApiClients))!).Find(ApiKeys.Hash(key)) is not null;

    public static string Header(this HttpResponseMessage response, string name) => response.Headers.GetValues(name).Single();
}
