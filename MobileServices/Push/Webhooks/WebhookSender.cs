using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;
using MobileServices.Push.Networks;

namespace MobileServices.Push.Webhooks;

/// <summary>
/// Tells the backends of apps, by Standard Webhooks (standardwebhooks.com): at least once, each app for itself, so that a slow one keeps nobody waiting. A
/// process that is killed leaves events that another has when their lease is over.
/// </summary>
internal sealed class WebhookSender(WebhookStore store, WebhookEvents events, PushHttp http, PushMetrics metrics, IOptions<PushOptions> options, TimeProvider time, ILogger<WebhookSender> logger)
{
    /// <summary>Requests to one app at a time.</summary>
    private const int MostOfAnApp = 20;
    private const int Gone = 410;
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestWish = TimeSpan.FromHours(6);

    private readonly PushOptions _options = options.Value;
    private readonly ConcurrentDictionary<string, bool> _busy = new(StringComparer.Ordinal);
    private DateTimeOffset _lookAt;

    /// <summary>Called when what was claimed of an app has ended, and more of it may be.</summary>
    public Action? Ended { get; set; }

    /// <summary>Looks for messages that have come to their end, and begins to send what is due.</summary>
    /// <returns>When there is more to do; null when nothing waits.</returns>
    public async Task<DateTime?> StepAsync(CancellationToken ct)
    {
        var look = await LookAsync(ct);
        foreach (var app in (await store.ClaimAsync([.. _busy.Keys], MostOfAnApp, _options.LeaseSeconds, ct)).GroupBy(due => due.AppId))
        {
            _busy.TryAdd(app.Key, true);
            _ = SendAllAsync(app.Key, [.. app]);
        }
        var due = await store.NextDueAsync([.. _busy.Keys], ct) is { } wait ? time.GetUtcNow().UtcDateTime + wait : (DateTime?)null;
        return due is null || look < due ? look : due;
    }

    /// <returns>When to look again; null when no message is on its way.</returns>
    private async Task<DateTime?> LookAsync(CancellationToken ct)
    {
        if (time.GetUtcNow() < _lookAt)
        {
            return _lookAt.UtcDateTime;
        }
        var began = time.GetTimestamp();
        while (await events.FinishAsync(ct) is WebhookEvents.Most)
        {
        }
        // However many are on their way, looking is a small part of the work.
        var pause = 10 * time.GetElapsedTime(began);
        _lookAt = time.GetUtcNow() + (pause > LookEvery ? pause : LookEvery);
        return await events.AnyUnfinishedAsync(ct) ? _lookAt.UtcDateTime : null;
    }

    private async Task SendAllAsync(string app, IReadOnlyList<DueEvent> due)
    {
        try
        {
            if (await store.TargetAsync(app, CancellationToken.None) is { } target)
            {
                await Task.WhenAll(due.Select(one => SendAsync(target, one)));
            }
        }
        catch (Exception exception)
        {
            // Their lease ends, and they are sent again.
            logger.LogError(exception, "The webhook of {App} cannot be told now", app);
        }
        finally
        {
            _busy.TryRemove(app, out _);
            Ended?.Invoke();
        }
    }

    private async Task SendAsync(WebhookTarget target, DueEvent due)
    {
        var body = Body(due);
        var timestamp = time.GetUtcNow().ToUnixTimeSeconds();
        using var request = new HttpRequestMessage(HttpMethod.Post, target.Url);
        request.Headers.TryAddWithoutValidation("webhook-id", due.Id);
        request.Headers.TryAddWithoutValidation("webhook-timestamp", timestamp.ToString(CultureInfo.InvariantCulture));
        request.Headers.TryAddWithoutValidation("webhook-signature", string.Join(' ', target.Secrets.Select(secret => WebhookSignature.Sign(secret, due.Id, timestamp, body))));
        var answer = await http.SendToStrangerAsync(request, body, "application/json", null, CancellationToken.None);
        if (answer.Failure is null && answer.Status is >= 200 and < 300)
        {
            metrics.Told(due.Type, "delivered");
            await store.DeliveredAsync(due, answer.Status, CancellationToken.None);
            return;
        }
        if (answer.Status is Gone && await store.StopAsync(due.AppId, target.SavedAt, "it answered 410", CancellationToken.None))
        {
            logger.LogWarning("The webhook of {App} answered 410 and was switched off: save it anew to have it told again", due.AppId);
        }
        await FailAsync(due, answer);
    }

    private async Task FailAsync(DueEvent due, Answer answer)
    {
        var problem = answer.Failure?.Reason ?? $"it answered {answer.Status}";
        var pause = answer.RetryAfter(time.GetUtcNow()) is { } asked && asked > TimeSpan.Zero ? asked < LongestWish ? asked : LongestWish : (TimeSpan?)null;
        TimeSpan? wait = null;
        if (due.Attempts >= _options.WebhookMostAttempts)
        {
            problem = $"{problem}; given up after {due.Attempts} attempts";
            metrics.Told(due.Type, "failed");
            logger.LogWarning("The webhook of {App} was not told of {Type} {Event}: {Problem}", due.AppId, due.Type, due.Id, problem);
        }
        else
        {
            wait = Pause(due.Attempts);
            wait = pause > wait ? pause : wait;
        }
        await store.FailedAsync(due, answer.Failure is null ? answer.Status : null, problem, wait, pause, CancellationToken.None);
    }

    private TimeSpan Pause(int attempt)
    {
        var longest = Math.Min(_options.FirstRetrySeconds * Math.Pow(2, Math.Min(attempt - 1, 30)), _options.WebhookLongestRetrySeconds);
#pragma warning disable CA5394 // Chance keeps those that failed together apart; nobody gains by guessing it.
        return TimeSpan.FromSeconds(longest * (1 - (Random.Shared.NextDouble() / 2)));
#pragma warning restore CA5394
    }

    /// <summary>The same bytes at each attempt.</summary>
    private static byte[] Body(DueEvent due) => Encoding.UTF8.GetBytes(string.Create(
        CultureInfo.InvariantCulture, $$"""{"type":"{{due.Type}}","timestamp":"{{due.CreatedAt.ToUniversalTime():yyyy-MM-ddTHH:mm:ss.ffffffZ}}","data":{{due.Data}}}"""));
}
