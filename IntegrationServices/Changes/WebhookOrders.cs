using Microsoft.Extensions.Options;

namespace IntegrationServices.Changes;

/// <summary>
/// Orders the webhooks of every backend system to this service: at the start, until each has taken it, and every ten minutes anew, for a system that was
/// restored from a backup has forgotten it.
/// </summary>
internal sealed class WebhookOrders(
    ChangeStore store, Sources sources, IHttpClientFactory http, IOptions<ChangesOptions> options, TimeProvider time, ILogger<WebhookOrders> logger) : BackgroundService
{
    private const string Source = "webhook";
    public const string HttpClientName = "webhook-orders";
    private static readonly TimeSpan Again = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromMinutes(1);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => options.Value.Address is { Length: > 0 } address
        ? Task.WhenAll(BackendChange.Types.Select(system => KeepAsync(system.Key, $"{address.TrimEnd('/')}/webhooks/{system.Key}", system.Value, stoppingToken)))
        : Task.CompletedTask;

    private async Task KeepAsync(string system, string url, string[] events, CancellationToken ct)
    {
        var retry = FirstRetry;
        while (!ct.IsCancellationRequested)
        {
            var pause = Again;
            try
            {
                await OrderAsync(system, url, events, ct);
                retry = FirstRetry;
                sources.Works(system, Source);
            }
            catch (Exception exception) when (!ct.IsCancellationRequested)
            {
                sources.Fails(system, Source, $"They cannot be ordered: {exception.Message}");
                logger.LogWarning("The webhooks of {System} cannot be ordered now, tried again in {Pause}: {Reason}", system, retry, exception.Message);
                pause = retry;
                retry = retry * 2 < LongestRetry ? retry * 2 : LongestRetry;
            }
            catch (OperationCanceledException)
            {
                return;
            }
            await Task.Delay(pause, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task OrderAsync(string system, string url, string[] events, CancellationToken ct)
    {
        var secret = await store.SecretAsync(system, ct);
        using var client = http.CreateClient(HttpClientName);
        using var response = await client.PostAsJsonAsync(new Uri($"http://{system}/{system}/webhooks"), new { url, secret, events }, ct);
        if (!response.IsSuccessStatusCode)
        {
            throw new HttpRequestException($"It answered {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(ct)}");
        }
    }
}
