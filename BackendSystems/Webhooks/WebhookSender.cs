using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;
using OpenTelemetry;

namespace BackendSystems.Webhooks;

/// <summary>Delivers one system's webhooks: at least once, in order per record, with back-off until it gives up.</summary>
internal sealed class WebhookSender(
    WebhookChannel channel, WebhookStore store, IHttpClientFactory http, IOptions<WebhooksOptions> options, TimeProvider time,
    ILogger<WebhookSender> log) : BackgroundService
{
    public const string HttpClientName = "webhooks";

    /// <summary>Time for an answer; a lease outlives it well, so that nobody else sends the same meanwhile.</summary>
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan KeepDelivered = TimeSpan.FromDays(7);
    private static readonly ActivitySource Traces = new("mobile.backoffice");
    private readonly Lock _lock = new();
    private DateTimeOffset _retryAt = DateTimeOffset.MaxValue;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var forgetAt = time.GetUtcNow();
        while (!stoppingToken.IsCancellationRequested)
        {
            // A wait may end a moment early: what is not yet due must still be waited for.
            _retryAt = time.GetUtcNow() >= _retryAt ? DateTimeOffset.MaxValue : _retryAt;
            try
            {
                if (time.GetUtcNow() >= forgetAt)
                {
                    await store.ForgetDeliveredAsync(forgetAt - KeepDelivered, stoppingToken);
                    forgetAt += TimeSpan.FromHours(1);
                }

                while (await SendDueAsync(stoppingToken) > 0)
                {
                }
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                log.LogError(exception, "Webhooks of {System} cannot be sent now", channel.System);
            }

            var untilRetry = _retryAt - time.GetUtcNow();
            await channel.WaitAsync(untilRetry <= TimeSpan.Zero ? TimeSpan.Zero : untilRetry < Idle ? untilRetry : Idle, stoppingToken);
        }
    }

    /// <returns>How many deliveries were tried.</returns>
    public async Task<int> SendDueAsync(CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var due = await TakeDueAsync(now, ct);
        await Task.WhenAll(due.Select(delivery => SendAsync(delivery, ct)));
        return due.Count;
    }

    private async Task<IReadOnlyList<DueWebhook>> TakeDueAsync(DateTimeOffset now, CancellationToken ct)
    {
        // Looking for work is not work: no trace of its own every few seconds.
        using var quiet = SuppressInstrumentationScope.Begin();
        return await store.TakeDueAsync(now, now + Lease, 20, ct);
    }

    private async Task SendAsync(DueWebhook delivery, CancellationToken ct)
    {
        using var activity = new TraceContext(delivery.Traceparent, delivery.Tracestate).StartConsumer(Traces, $"send {channel.System} webhook");
        var timestamp = time.GetUtcNow().ToUnixTimeSeconds();
        using var request = new HttpRequestMessage(HttpMethod.Post, delivery.Url)
        {
            Content = new StringContent(delivery.Body, Encoding.UTF8, "application/json"),
        };
        request.Headers.Add("webhook-id", delivery.MessageId);
        request.Headers.Add("webhook-timestamp", timestamp.ToString(CultureInfo.InvariantCulture));
        request.Headers.TryAddWithoutValidation(
            "webhook-signature", WebhookSignature.Sign(delivery.Secret, delivery.MessageId, timestamp, Encoding.UTF8.GetBytes(delivery.Body)));
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ct);
        patience.CancelAfter(AnswerWithin);
        try
        {
            using var client = http.CreateClient(HttpClientName);
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, patience.Token);
            if (response.IsSuccessStatusCode)
            {
                await store.DeliveredAsync(delivery.Id, (int)response.StatusCode, time.GetUtcNow(), ct);
                return;
            }

            await RefusedAsync(delivery, (int)response.StatusCode, $"Answered {(int)response.StatusCode}.", RetryAfter(response), ct);
        }
        catch (HttpRequestException exception)
        {
            await RefusedAsync(delivery, null, exception.Message, TimeSpan.Zero, ct);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            await RefusedAsync(delivery, null, $"No answer within {AnswerWithin.TotalSeconds} s.", TimeSpan.Zero, ct);
        }
    }

    private async Task RefusedAsync(DueWebhook delivery, int? status, string error, TimeSpan atLeast, CancellationToken ct)
    {
        var settings = options.Value;
        var backOff = settings.FirstRetry * Math.Pow(2, Math.Min(delivery.Attempts - 1, 20));
        var wait = backOff < settings.LongestRetry ? backOff : settings.LongestRetry;
        var retryAt = time.GetUtcNow() + (wait > atLeast ? wait : atLeast);
        var givesUp = retryAt.UtcDateTime > delivery.RetryUntil;
        await store.RefusedAsync(delivery.Id, status, error, givesUp ? null : retryAt, ct);
        if (!givesUp)
        {
            lock (_lock)
            {
                _retryAt = retryAt < _retryAt ? retryAt : _retryAt;
            }
        }
        else
        {
            log.LogWarning("Webhook {MessageId} of {System} failed for good after {Attempts} attempts: {Error}",
                delivery.MessageId, channel.System, delivery.Attempts, error);
        }
    }

    private TimeSpan RetryAfter(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => date - time.GetUtcNow(),
        _ => TimeSpan.Zero,
    };
}
