using System.Collections.Concurrent;
using System.Text;
using Gateway;
using Microsoft.AspNetCore.Http;
using MobileIntegration.Contracts;
using Npgsql;

namespace MobileIntegration.Tests.Gateway;

/// <summary>Two replicas of the gateway on one database, before one service that answers as the test says.</summary>
public sealed class IdempotentGateways : IAsyncLifetime
{
    internal Upstream Service { get; private set; } = null!;

    internal string Database { get; private set; } = "";

    internal TestService<DiscoveredDestinations> One { get; private set; } = null!;

    internal TestService<DiscoveredDestinations> Other { get; private set; } = null!;

    internal RequestDelegate Answer { get; set; } = MadeAsync;

    public async Task InitializeAsync()
    {
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
    }

    internal TestService<DiscoveredDestinations> Start(params (string Key, string Value)[] settings) => new([.. Settings, .. settings]);

    internal (string Key, string Value)[] Settings =>
    [
        ("ConnectionStrings:mobiledb", Database), TestServices.At("home", Service.Address), TestServices.At("devices", Service.Address),
    ];

    /// <summary>All that came from a client.</summary>
    internal Upstream.Received[] Effects() => [.. Service.Journal.Where(call => call.Path is not AppRuleSet.Path)];

    internal Upstream.Received[] Effects(string key) => [.. Effects().Where(call => KeyOf(call) == key)];

    internal static string? KeyOf(Upstream.Received call) => call.Headers.GetValueOrDefault("Idempotency-Key");

    internal async Task<object?> SqlAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(Database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }

    internal static async Task MadeAsync(HttpContext context)
    {
        var order = Guid.NewGuid();
        context.Response.StatusCode = StatusCodes.Status201Created;
        context.Response.ContentType = "application/vnd.order+json; charset=utf-8";
        context.Response.Headers.Location = $"/api/home/orders/{order}";
        context.Response.Headers.ETag = "\"1\"";
        context.Response.Headers["X-Part"] = new(["a", "b"]);
        await context.Response.WriteAsync($$"""{ "order" : "{{order}}", "für": "Müller" }""");
    }
}

internal static class KeyedCalls
{
    public static async Task<HttpResponseMessage> SendAsync(
        this TestService<DiscoveredDestinations> gateway,
        string? key,
        string body = """{"sku":"100001"}""",
        string path = "/api/home/orders",
        string? token = null,
        string method = "POST",
        string type = "application/json",
        Action<HttpRequestMessage>? more = null,
        CancellationToken ct = default)
    {
        using var request = new HttpRequestMessage(new(method), path) { Content = new StringContent(body, Encoding.UTF8, type) };
        if (key is not null)
        {
            request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        }
        if (token is not null)
        {
            request.Headers.Authorization = new("Bearer", token);
        }
        more?.Invoke(request);
        return await gateway.Http.SendAsync(request, ct);
    }

    public static bool IsReplayed(this HttpResponseMessage response) => response.Headers.Contains("Idempotency-Replayed");

    public static string NewKey() => Guid.NewGuid().ToString();
}

/// <summary>Holds the service's answer to every key until the test lets it go.</summary>
internal sealed class HeldAnswers
{
    private readonly ConcurrentDictionary<string, (TaskCompletionSource Reached, TaskCompletionSource Free)> _calls = new();

    public Task ReachedAsync(string key) => Of(key).Reached.Task.WaitAsync(TimeSpan.FromSeconds(30));

    public void Free(string key) => Of(key).Free.TrySetResult();

    public async Task AnswerAsync(HttpContext context)
    {
        var (reached, free) = Of(context.Request.Headers["Idempotency-Key"].ToString());
        reached.TrySetResult();
        await free.Task.WaitAsync(context.RequestAborted);
        await IdempotentGateways.MadeAsync(context);
    }

    private (TaskCompletionSource Reached, TaskCompletionSource Free) Of(string key) => _calls.GetOrAdd(
        key, _ => (new(TaskCreationOptions.RunContinuationsAsynchronously), new(TaskCreationOptions.RunContinuationsAsynchronously)));
}
