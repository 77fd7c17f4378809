using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Microsoft.AspNetCore.Builder;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Events;
using Npgsql;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>Events as subscribers of other processes and databases have them.</summary>
[Collection(nameof(BackOffice))]
public sealed class SubscriberTests(ChangesService changes) : IClassFixture<ChangesService>, IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private readonly List<WebApplication> _apps = [];
    private string _own = null!;

    public async Task InitializeAsync()
    {
        _own = await TestPostgres.CreateDatabaseAsync();
        await using var database = new NpgsqlConnection(_own);
        await database.ExecuteAsync("create table effect (number bigint generated always as identity, subject text, version bigint, status text)");
    }

    public async Task DisposeAsync()
    {
        foreach (var app in _apps)
        {
            await app.DisposeAsync();
        }
    }

    [Fact]
    public async Task Two_replicas_share_the_events_and_each_has_its_effect_once_and_in_order()
    {
        var name = Name();
        for (var replica = 0; replica < 2; replica++)
        {
            await SubscribeAsync(name, on => on.On<OrderChanged>((_, told, transaction, ct) => NoteAsync(transaction, told, ct)));
        }
        var everything = new ConcurrentQueue<string>();
        await SubscribeAsync(Name(), on => on
            .On<OrderChanged>((_, told, _) => Keep(everything, told.Subject))
            .On<CustomerChanged>((_, told, _) => Keep(everything, told.Subject)), inbox: null);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            for (var version = 1; version <= 20; version++)
            {
                await PublishAsync([.. Enumerable.Range(0, 5).Select(order => Order($"45{writer}000000{order}", version))]);
            }
        })));
        await PublishAsync(NewEvent.Of("customer:C-000001", null, DateTimeOffset.UtcNow, new CustomerChanged("C-000001", [])));

        await Eventually.TrueAsync(async () => (await EffectsAsync()).Count >= 400, Patience);
        await Eventually.TrueAsync(() => everything.Count >= 401, Patience);
        await HadAllAsync(name);
        var effects = await EffectsAsync();
        Assert.Equal(400, effects.Count);
        Assert.All(effects.GroupBy(effect => effect.Subject), one => Assert.Equal(Enumerable.Range(1, 20).Select(version => (long)version), one.Select(effect => effect.Version)));
        Assert.Equal(20, effects.Select(effect => effect.Subject).Distinct().Count());
        Assert.Contains("customer:C-000001", everything);
    }

    [Fact]
    public async Task What_a_subscriber_had_in_hand_when_it_died_is_done_once_by_another()
    {
        var name = Name();
        var (held, killed) = (new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource());
        var first = true;
        // The second event of the first replica is in the middle of its effect, the first one's effect is committed and not yet written down as had.
        await SubscribeAsync(name, on => on.On<OrderChanged>(async (_, told, transaction, ct) =>
        {
            await NoteAsync(transaction, told, ct);
            if (told.Subject == "order:4600000002" && Interlocked.Exchange(ref first, false))
            {
                held.SetResult(await transaction.Connection!.ExecuteScalarAsync<int>("select pg_backend_pid()"));
                await killed.Task.WaitAsync(ct);
            }
        }), concurrency: 1);
        await PublishAsync([.. Enumerable.Range(1, 5).Select(order => Order($"460000000{order}", 1))]);
        var effect = await held.Task.WaitAsync(Patience);
        // The end of a process is the end of its sessions.
        await using (var own = new NpgsqlConnection(_own))
        await using (var publisher = new NpgsqlConnection(changes.Database))
        {
            await own.ExecuteAsync("select pg_terminate_backend(@effect)", new { effect });
            await publisher.ExecuteAsync(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and state = 'idle in transaction' and query like '%events.delivery%'");
        }
        await SubscribeAsync(name, on => on.On<OrderChanged>((_, told, transaction, ct) => NoteAsync(transaction, told, ct)));
        await HadAllAsync(name);
        killed.SetResult();

        Assert.Equal(Enumerable.Range(1, 5).Select(order => $"order:460000000{order}"), (await EffectsAsync()).Select(one => one.Subject).Order());
    }

    [Fact]
    public async Task A_poison_event_is_a_dead_letter_holds_up_nobody_else_and_can_be_replayed()
    {
        var name = Name();
        var mended = false;
        await SubscribeAsync(name, on => on.On<OrderChanged>(async (_, told, transaction, ct) =>
        {
            await NoteAsync(transaction, told, ct);
            if (told.Data.OrderId is "4700000001" && !mended)
            {
                throw new InvalidOperationException("This order is not to be borne.");
            }
        }));
        await PublishAsync(Order("4700000001", 1), Order("4700000001", 2), Order("4700000002", 1));
        await PublishAsync(new NewEvent("OrderChanged", "order:4700000003", 1, DateTimeOffset.UtcNow, """{"orderId":"4700000003","status":"lost"}"""));

        List<JsonElement> dead = [];
        await Eventually.TrueAsync(async () => (dead = await DeadAsync(name)).Count is 3, Patience);
        Assert.Equal(["4700000002"], (await EffectsAsync()).Select(one => one.Subject["order:".Length..]));
        Assert.Contains("not to be borne", dead[0].GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.True(dead[0].GetProperty("failures").GetInt32() > 1);
        Assert.Contains("cannot be read as OrderChanged", dead[2].GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Equal(1, dead[2].GetProperty("failures").GetInt32());

        mended = true;
        for (var time = 0; time < 2; time++)
        {
            await EndAsync(name, dead[0], "replay");
            await EndAsync(name, dead[2], "discard");
        }
        await Eventually.TrueAsync(async () => (await EffectsAsync()).Any(one => one is { Subject: "order:4700000001", Version: 1 }), Patience);
        Assert.Equal(dead[1].GetProperty("id").GetGuid(), Assert.Single(await DeadAsync(name)).GetProperty("id").GetGuid());
        await (await changes.Service.Http.PostAsync($"/changes/dead-letters/{name}/{dead[2].GetProperty("id").GetGuid()}/replay", null)).ProblemAsync(404);
        await using var database = new NpgsqlConnection(changes.Database);
        Assert.Equal(
            ["dead", "replayed"],
            await database.QueryAsync<string>("select outcome from events.history where event_id = @id order by id", new { id = dead[0].GetProperty("id").GetGuid() }));
    }

    [Fact]
    public async Task An_event_that_fails_for_a_while_comes_again_before_the_later_ones_of_its_subject()
    {
        var failures = 0;
        var name = Name();
        await SubscribeAsync(name, on => on.On<OrderChanged>(async (_, told, transaction, ct) =>
        {
            if (told.Version is 1 && Interlocked.Increment(ref failures) <= 3)
            {
                throw new HttpRequestException("away");
            }
            await NoteAsync(transaction, told, ct);
        }), giveUpHours: 24);
        await PublishAsync(Order("4800000001", 1), Order("4800000001", 2), Order("4800000001", 3));
        await HadAllAsync(name);
        Assert.Equal([1L, 2, 3], (await EffectsAsync()).Select(one => one.Version));
        Assert.Equal(4, failures);
    }

    [Fact]
    public async Task What_is_rolled_back_is_not_told_and_every_process_hears_of_what_is()
    {
        var news = new ConcurrentQueue<EventNews>();
        var (app, _) = await TestServices.StartAsync(
            builder => builder.AddEventNews("integrationdb", (_, told) => news.Enqueue(told)), _ => { }, $"--ConnectionStrings:integrationdb={changes.Database}");
        _apps.Add(app);
        await Eventually.TrueAsync(() => news.Contains(default), Patience);
        await using (var database = new NpgsqlConnection(changes.Database))
        {
            await database.OpenAsync();
            await using var transaction = await database.BeginTransactionAsync();
            Assert.Equal(1, await transaction.PublishAsync([Order("4900000001", 1)], default));
            await transaction.RollbackAsync();
        }
        await PublishAsync(Order("4900000002", 1));
        await Eventually.TrueAsync(() => news.Contains(new("OrderChanged", "order:4900000002")), Patience);
        Assert.DoesNotContain(new("OrderChanged", "order:4900000001"), news);
        Assert.Single(await changes.EventsAsync("order:49%"));
    }

    private static string Name() => $"test-{Guid.NewGuid():n}";

    private async Task SubscribeAsync(string name, Action<Subscription> on, string? inbox = "own", int concurrency = 4, double giveUpHours = 0.0001)
    {
        var (app, _) = await TestServices.StartAsync(
            builder => builder.AddSubscriber(name, from: "integrationdb", inbox, on), Migrate,
            $"--ConnectionStrings:integrationdb={changes.Database}", $"--ConnectionStrings:own={_own}", $"--Events:Concurrency={concurrency}",
            "--Events:FirstRetrySeconds=0.05", "--Events:LongestRetrySeconds=0.5", FormattableString.Invariant($"--Events:GiveUpHours={giveUpHours}"));
        _apps.Add(app);
        await Eventually.TrueAsync(() => changes.AnyAsync("events.subscription", $"name = '{name}'"), Patience);
    }

    private static void Migrate(WebApplication app) => Task.Run(() => app.MigrateAsync(default)).GetAwaiter().GetResult();

    private static async Task NoteAsync(NpgsqlTransaction transaction, Event<OrderChanged> told, CancellationToken ct) =>
        await transaction.Connection!.ExecuteAsync(new CommandDefinition(
            "insert into effect (subject, version, status) values (@Subject, @Version, @status)",
            new { told.Subject, told.Version, status = told.Data.Status.ToString() }, transaction, cancellationToken: ct));

    private static Task Keep(ConcurrentQueue<string> queue, string subject)
    {
        queue.Enqueue(subject);
        return Task.CompletedTask;
    }

    private static NewEvent Order(string order, long version) =>
        NewEvent.Of(OrderChanged.SubjectOf(order), version, DateTimeOffset.UtcNow, new OrderChanged(order, "C-000123", OrderStatus.Picked, OrderStatus.Open));

    private async Task PublishAsync(params NewEvent[] events)
    {
        await using var database = new NpgsqlConnection(changes.Database);
        await database.OpenAsync();
        await using var transaction = await database.BeginTransactionAsync();
        Assert.Equal(events.Length, await transaction.PublishAsync(events, default));
        await transaction.CommitAsync();
    }

    private async Task<List<(string Subject, long Version)>> EffectsAsync()
    {
        await using var database = new NpgsqlConnection(_own);
        return (await database.QueryAsync<(string, long)>("select subject, version from effect order by number")).AsList();
    }

    private Task HadAllAsync(string name) =>
        Eventually.TrueAsync(async () => !await changes.AnyAsync("events.delivery", $"subscription = '{name}' and status = 'due'"), Patience);

    private async Task<List<JsonElement>> DeadAsync(string name) =>
        [.. (await changes.Service.Http.GetFromJsonAsync<JsonElement>($"/changes/dead-letters?subscription={name}")).GetProperty("items").EnumerateArray()];

    private async Task EndAsync(string name, JsonElement dead, string how) => Assert.Equal(
        HttpStatusCode.NoContent,
        (await changes.Service.Http.PostAsync($"/changes/dead-letters/{name}/{dead.GetProperty("id").GetGuid()}/{how}", null)).StatusCode);
}
