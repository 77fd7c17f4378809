using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MobileIntegration.ServiceDefaults.Events.Inboxes;
using Npgsql;

namespace MobileIntegration.ServiceDefaults.Events;

/// <summary>
/// Hands a subscriber its events: several at a time, those of one subject one after the other in their order, over all replicas. An event that fails
/// holds up its own subject until it succeeds or is a dead letter.
/// </summary>
internal sealed class SubscriptionWorker : BackgroundService
{
    private const int Batch = 20;
    private static readonly TimeSpan LongestBatch = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestSleep = TimeSpan.FromSeconds(30);

    /// <summary>What a process that died gives back comes without a notification, so one of the loops looks for it.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ShortestSleep = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan PruneEvery = TimeSpan.FromHours(1);
    private static readonly ActivitySource Source = new("mobile.events");

    private readonly Bell _bell;
    private readonly Subscription _subscription;
    private readonly SubscriptionStore _store;
    private readonly Inbox? _inbox;
    private readonly NpgsqlDataSource _database;
    private readonly EventsOptions _options;
    private readonly IServiceScopeFactory _scopes;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Counter<long> _handled;

    public SubscriptionWorker(
        Subscription subscription, NpgsqlDataSource database, Inbox? inbox, EventListener listener, EventsOptions options, IServiceScopeFactory scopes,
        IMeterFactory meters, TimeProvider time, ILogger<SubscriptionWorker> logger)
    {
        (_subscription, _database, _inbox, _options, _scopes, _time, _logger) = (subscription, database, inbox, options, scopes, time, logger);
        _bell = new(time);
        _store = new(database, subscription.Name, subscription.Types, options);
        _handled = meters.Create("mobile.events").CreateCounter<long>("mobile.events.handled", "{event}", "Events that subscribers had, by subscription, type and outcome");
        var types = subscription.Types.ToHashSet(StringComparer.Ordinal);
        listener.Add(news =>
        {
            if (news.Type is null || types.Contains(news.Type))
            {
                _bell.Ring();
            }
        });
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await SurviveAsync(_store.RegisterAsync, stoppingToken);
        await Task.WhenAll(
            [
                SurviveAsync(PruneAsync, stoppingToken),
                .. Enumerable.Range(0, _options.Concurrency).Select(loop =>
                    SurviveAsync(ct => WorkAsync(loop is 0, ct), stoppingToken)),
            ]);
    }

    private Task SurviveAsync(Func<CancellationToken, Task> loop, CancellationToken ct) =>
        _logger.SurviveAsync($"The subscriber {_subscription.Name} cannot take events now", loop, _time, ct);

    /// <param name="isFirst">Whether it looks by itself; the others begin when there is more than that one can do.</param>
    private async Task WorkAsync(bool isFirst, CancellationToken ct)
    {
        var longestSleep = isFirst ? LookEvery : LongestSleep;
        if (!isFirst)
        {
            await _bell.WaitAsync(longestSleep, ct);
        }
        while (true)
        {
            if (await StepAsync(ct) is 0)
            {
                var sleep = await _store.NextDueAsync(ct) ?? longestSleep;
                await _bell.WaitAsync(sleep < ShortestSleep ? ShortestSleep : sleep > longestSleep ? longestSleep : sleep, ct);
            }
        }
    }

    /// <returns>How many events were claimed.</returns>
    private async Task<int> StepAsync(CancellationToken ct)
    {
        await using var connection = await _database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var claimed = await _store.ClaimAsync(transaction, Batch, ct);
        if (claimed.Count is 0)
        {
            return 0;
        }
        if (claimed.Count is Batch)
        {
            // There is more than one can do.
            _bell.Ring();
        }
        var done = new List<long>();
        var failed = new List<FailedEvent>();
        var started = _time.GetTimestamp();
        foreach (var one in claimed)
        {
            if (await HandleAsync(one, ct) is not { } failure)
            {
                done.Add(one.Number);
            }
            else if (failure.Reason.Length > 0)
            {
                failed.Add(failure);
            }
            if (ct.IsCancellationRequested || _time.GetElapsedTime(started) > LongestBatch)
            {
                break;
            }
        }
        // What was handled is written down also when the process stops.
        await _store.SettleAsync(transaction, done, failed);
        await transaction.CommitAsync(CancellationToken.None);
        return claimed.Count;
    }

    /// <returns>Null when it is handled; without a reason when it was broken off.</returns>
    private async Task<FailedEvent?> HandleAsync(DeliveredEvent delivered, CancellationToken ct)
    {
        using var activity = new TraceContext(delivered.Traceparent, delivered.Tracestate).StartConsumer(Source, $"process {_subscription.Name} events");
        activity?.SetTag("mobile.event.id", delivered.Id);
        activity?.SetTag("mobile.event.type", delivered.Type);
        try
        {
            await using var scope = _scopes.CreateAsyncScope();
            var work = _inbox is null
                ? _subscription.HandleAsync(scope.ServiceProvider, delivered, null, ct)
                : _inbox.OnceAsync(delivered.Id, transaction => _subscription.HandleAsync(scope.ServiceProvider, delivered, transaction, ct), ct);
            await work;
            Count(delivered, "done");
            return null;
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            activity?.SetStatus(ActivityStatusCode.Error, exception.Message);
            var isDead = exception is PoisonEventException || delivered.IsOld;
            _logger.LogWarning(exception, "The event {Event} failed at {Subscription} ({Outcome})", delivered.Id, _subscription.Name, isDead ? "dead" : "again later");
            Count(delivered, isDead ? "dead" : "failed");
            var reason = exception is PoisonEventException ? exception.Message : $"{exception.GetType().Name}: {exception.Message}";
            return new(delivered, reason, isDead ? null : _options.Pause(delivered.Failures, Random.Shared.NextDouble()));
        }
        catch (Exception)
        {
            // This process stops; whoever goes on has it again.
            return new(delivered, "", null);
        }
    }

    private void Count(DeliveredEvent delivered, string outcome) =>
        _handled.Add(1, new("subscription", _subscription.Name), new("type", delivered.Type), new("outcome", outcome));

    private async Task PruneAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(PruneEvery, _time);
        do
        {
            while (await _store.PruneAsync(ct) > 0)
            {
            }
            while (_inbox is not null && await _inbox.PruneAsync(ct) > 0)
            {
            }
        }
        while (await timer.WaitForNextTickAsync(ct));
    }
}
