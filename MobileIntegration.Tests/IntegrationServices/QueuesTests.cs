#if !ASPIRE
using System.Net.Http.Json;
using System.Text;
using Dapper;
using IntegrationServices.Customers;
using Npgsql;
using RabbitMQ.Client;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>Changes that systems report on queues of a real RabbitMQ.</summary>
public sealed class QueuesTests(RabbitMq broker) : IClassFixture<RabbitMq>, IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private readonly string _queue = $"erp-{Guid.NewGuid():n}";
    private string _database = "";
    private NpgsqlConnection _connection = null!;

    public async Task InitializeAsync()
    {
        _database = await TestPostgres.CreateDatabaseAsync();
        _connection = new(_database);
        await DeclareAsync();
    }

    public async Task DisposeAsync() => await _connection.DisposeAsync();

    [Fact]
    public async Task A_message_is_told_once_in_order_whatever_comes_twice_and_what_is_not_understood_is_set_aside()
    {
        await using var service = Start();
        await PublishAsync(
            ("m-1", ChangesService.Order("4590000001", 1)), ("m-2", ChangesService.Order("4590000001", 2)), ("m-2", ChangesService.Order("4590000001", 2)),
            ("m-1", ChangesService.Order("4590000001", 1)), (null, ChangesService.Order("4590000001", 3)), (null, ChangesService.Order("4590000001", 2)),
            ("bad", "{\"type\":\"order.updated\"}"), (null, "no JSON"), ("huge", "x" + string.Concat(Enumerable.Repeat("😀", 40_000))), ("m-4", ChangesService.Order("4590000002", 1)));

        await Eventually.TrueAsync(async () => (await ToldAsync()).Contains("order:4590000002 1"), Patience);
        Assert.Equal(["order:4590000001 1", "order:4590000001 2", "order:4590000001 3", "order:4590000002 1"], (await ToldAsync()).Order());
        var aside = (await _connection.QueryAsync<(string Reference, string Reason)>("select reference, reason from changes.set_aside where source = 'message' order by reference")).AsList();
        Assert.Equal(["(no id)", "bad", "huge"], aside.Select(one => one.Reference));
        Assert.All(aside, one => Assert.NotEmpty(one.Reason));
        await service.DisposeAsync();
        await EmptyAsync();
    }

    [Fact]
    public async Task What_a_replica_did_not_finish_the_next_one_does_and_nothing_counts_twice()
    {
        const int Messages = 2_000;
        var first = Start();
        await PublishAsync([.. Enumerable.Range(0, Messages).Select(n => ((string?)$"m-{n}", ChangesService.Order($"45{n:00000000}", 1)))]);
        await Eventually.TrueAsync(async () => await CountAsync() > 0, Patience);
        await first.DisposeAsync();

        await using var second = Start();
        await Eventually.TrueAsync(async () => await CountAsync() == Messages, Patience);
        await second.DisposeAsync();
        await EmptyAsync();
        Assert.Equal(Messages, await CountAsync());
    }

    [Fact]
    public async Task A_broker_that_is_killed_and_a_queue_that_comes_later_are_waited_for()
    {
        await using (var channel = await OpenAsync())
        {
            await channel.QueueDeleteAsync(_queue);
        }
        await using var service = Start();
        await DeclareAsync();
        await PublishAsync(("a", ChangesService.Order("4570000001", 1)));
        await Eventually.TrueAsync(async () => await CountAsync() == 1, Patience);

        // A queue that was declared just before a kill the broker may not know any more; after an end in order it does.
        await broker.RestartAsync();
        await PublishAsync(("b", ChangesService.Order("4570000002", 1)));
        await broker.KillAsync();
        await Eventually.TrueAsync(async () => await CountAsync() == 2, Patience);
    }

    [Fact]
    public async Task Operators_see_that_a_broker_is_away_since_when_and_why_and_that_it_is_back()
    {
        await using var service = Start();
        await Eventually.TrueAsync(async () => await SourceAsync() is { Works: true, Reason: null }, Patience);

        await broker.KillAsync(async () =>
        {
            await Eventually.TrueAsync(async () => await SourceAsync() is { Works: false }, Patience);
            var began = (await SourceAsync())!.Since;
            await Eventually.HoldsAsync(
                async () => Assert.Equal(new("message", false, began, $"The queue {_queue} at 127.0.0.1: Connection refused"), await SourceAsync()), Patience);
        });
        // Killed so soon after it was declared, the broker may not know the queue any more.
        await DeclareAsync();
        await Eventually.TrueAsync(async () => await SourceAsync() is { Works: true, Reason: null }, Patience);

        async Task<SourceState?> SourceAsync()
        {
            var overview = await service.Http.GetFromJsonAsync<Overview>("/changes");
            return overview!.Systems.Single(system => system.System is "erp").Sources.SingleOrDefault(source => source.Source is "message");
        }
    }

    [Theory]
    [InlineData("Changes__Queues__sap__Address", "amqp://127.0.0.1", "Changes:Queues:sap is no system; there are crm, erp, pim, wms.")]
    [InlineData("Changes__Queues__erp__Address", "http://127.0.0.1", "Changes:Queues:erp:Address must be amqp://user:password@host:port/vhost, or amqps:// for TLS.")]
    [InlineData("Changes__Queues__erp__Batch", "0", "Changes:Queues:erp:Batch must be from 1 to 1000.")]
    public async Task A_setting_that_cannot_be_is_named_at_the_start(string setting, string value, string message)
    {
        var (exitCode, _, error) = await TestServices.RunToEndAsync(
            "IntegrationServices", ("Run", "changes"), ("ConnectionStrings__integrationdb", _database), ("ConnectionStrings__wmsdb", _database), (setting, value));
        Assert.Equal(1, exitCode);
        Assert.Contains(message, error, StringComparison.Ordinal);
    }

    private sealed record Overview(List<SystemState> Systems);

    private sealed record SystemState(string System, List<SourceState> Sources);

    private sealed record SourceState(string Source, bool Works, DateTime Since, string? Reason);

    private TestService<Crm> Start() => new(
        ("Run", "changes"), ("ConnectionStrings:integrationdb", _database), ("ConnectionStrings:wmsdb", _database), ("Changes:PollSeconds", "3600"),
        ("Changes:Queues:erp:Address", $"{broker.Address}"), ("Changes:Queues:erp:Queue", _queue), ("Changes:Queues:erp:Batch", "20"));

    private async Task<IChannel> OpenAsync()
    {
        var connection = await broker.ConnectAsync();
        return await connection.CreateChannelAsync(new(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));
    }

    private async Task DeclareAsync()
    {
        await using var channel = await OpenAsync();
        await channel.QueueDeclareAsync(_queue, durable: true, exclusive: false, autoDelete: false);
    }

    /// <summary>Returns when the broker has confirmed all of them.</summary>
    private async Task PublishAsync(params (string? Id, string Body)[] messages)
    {
        await using var channel = await OpenAsync();
        foreach (var (id, body) in messages)
        {
            await channel.BasicPublishAsync("", _queue, mandatory: true, new BasicProperties { MessageId = id, Persistent = true }, Encoding.UTF8.GetBytes(body));
        }
    }

    /// <summary>What is not acknowledged is there again once nobody reads.</summary>
    private async Task EmptyAsync()
    {
        await using var channel = await OpenAsync();
        await Eventually.TrueAsync(async () => await channel.MessageCountAsync(_queue) is 0, Patience);
    }

    private async Task<List<string>> ToldAsync() =>
        (await _connection.QueryAsync<string>("select subject || ' ' || version from events.event where type = 'OrderChanged' order by number")).AsList();

    private Task<int> CountAsync() => _connection.ExecuteScalarAsync<int>("select count(*)::int from events.event where type = 'OrderChanged'");
}
#endif
