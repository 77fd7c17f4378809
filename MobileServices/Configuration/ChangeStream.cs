using System.Globalization;
using Microsoft.Extensions.Options;

namespace MobileServices.Configuration;

/// <summary>
/// Says when to evaluate again (SSE, OFREP's <c>eventStreams</c>): when flags of the app were published, and when a rule of theirs begins or ends. It
/// says nothing of the flags themselves, and browsers cannot send a token with such a request, so it needs none.
/// </summary>
internal sealed class ChangeStream(FlagSets flags, IOptions<ConfigurationOptions> options, TimeProvider time, IHostApplicationLifetime lifetime)
{
    private int _open;

    public static Task GetAsync(string appId, HttpContext http, ChangeStream stream) => stream.AnswerAsync(appId, http);

    private async Task AnswerAsync(string appId, HttpContext http)
    {
        try
        {
            if (Interlocked.Increment(ref _open) > options.Value.MostStreams)
            {
                http.Response.Headers.RetryAfter = "30";
                await TypedResults.Problem(
                    "This service holds as many streams as it may (Configuration:MostStreams). Poll, and try again later.",
                    statusCode: StatusCodes.Status503ServiceUnavailable).ExecuteAsync(http);
                return;
            }
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, lifetime.ApplicationStopping);
            await SendAsync(appId, http, ending.Token);
        }
        catch (OperationCanceledException)
        {
            // The client is gone, or the service goes: it connects again, to another replica.
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }

    private async Task SendAsync(string appId, HttpContext http, CancellationToken ct)
    {
        http.Features.Get<Microsoft.AspNetCore.Http.Timeouts.IHttpRequestTimeoutFeature>()?.DisableTimeout();
        var response = http.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        response.Headers["X-Accel-Buffering"] = "no";
        var set = flags.Of(appId);
        // Something may have changed since the client evaluated, or while its stream was cut: it asks once more, and mostly gets a 304.
        await TellAsync(response, set, ct);
        while (true)
        {
            var now = time.GetUtcNow();
            var patience = TimeSpan.FromSeconds(options.Value.HeartbeatSeconds);
            var boundary = set.NextChange(now);
            var isDue = boundary - now < patience;
            try
            {
                await set.Superseded.WaitAsync(isDue ? boundary!.Value - now + TimeSpan.FromMilliseconds(1) : patience, time, ct);
                var newer = flags.Of(appId);
                // That an app has flags now says nothing of those that have none.
                var isChanged = newer.Version != set.Version;
                set = newer;
                if (!isChanged)
                {
                    continue;
                }
            }
            catch (TimeoutException) when (!isDue)
            {
                await response.WriteAsync(": still here\n\n", ct);
                await response.Body.FlushAsync(ct);
                continue;
            }
            catch (TimeoutException) when (time.GetUtcNow() < boundary)
            {
                // Timers count in milliseconds of their own.
                continue;
            }
            catch (TimeoutException)
            {
                // A rule begins or ends.
            }
            await TellAsync(response, set, ct);
        }
    }

    private static async Task TellAsync(HttpResponse response, FlagSet set, CancellationToken ct)
    {
        var id = set.Version.ToString(CultureInfo.InvariantCulture);
        await response.WriteAsync($"id: {id}\nevent: message\ndata: {{\"type\":\"refetchEvaluation\",\"etag\":\"{id}\"}}\n\n", ct);
        await response.Body.FlushAsync(ct);
    }
}
