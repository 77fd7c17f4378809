using System.Collections.Frozen;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using MobileIntegration.ServiceDefaults;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Model;

namespace Gateway;

/// <summary>
/// A POST or PATCH with an Idempotency-Key has its effect once however often it is sent (draft-ietf-httpapi-idempotency-key-header): the
/// first answer is kept, and every retry gets it.
/// </summary>
internal sealed class Idempotency(
    RequestDelegate next,
    IdempotencyStore store,
    IOptions<ServiceLimits> limits,
    IMeterFactory meters,
    IProblemDetailsService problems,
    ILogger<Idempotency> logger)
{
    public const string Header = IdempotencyKey.Header;
    public const string ReplayedHeader = "Idempotency-Replayed";
    public const string MeterName = "mobile.gateway";
    public const string CounterName = "mobile.gateway.idempotency";

    private const int KeepAttempts = 3;
    private static readonly TimeSpan KeepPause = TimeSpan.FromMilliseconds(300);

    /// <summary>The service did nothing, or cannot tell: the same call may be made again.</summary>
    private static readonly FrozenSet<int> Released = FrozenSet.Create(401, 408, 429, 502, 503, 504);

    /// <summary>Of one connection or one moment.</summary>
    private static readonly FrozenSet<string> NotKept = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase, "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Trailer", "Date", "Server");

    private readonly Counter<long> _calls = meters.Create(MeterName).CreateCounter<long>(CounterName, "{call}", "Calls with an Idempotency-Key, by outcome");

    public Task InvokeAsync(HttpContext context)
    {
        var header = context.Request.Headers[Header];
        return header.Count is 0 || !IsFor(context) || IdempotentCall.CallerOf(context.User) is not { } caller ? next(context) : InvokeAsync(context, header, caller);
    }

    private async Task InvokeAsync(HttpContext context, StringValues header, string[] caller)
    {
        if (IdempotencyKey.Read(header) is not { } key)
        {
            await RefuseAsync(context, "invalid", StatusCodes.Status400BadRequest,
                $"{Header} {IdempotencyKey.Form}");
            return;
        }
        var call = await IdempotentCall.ReadAsync(context.Request, caller, key, context.RequestAborted);
        var claim = Guid.NewGuid();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(limits.Value.RequestSeconds));
        KeptCall? kept;
        try
        {
            kept = await store.ClaimAsync(call, claim);
        }
        catch (IdempotencyStoreException exception)
        {
            logger.LogWarning("A call with an {Header} was refused, as it could not be noted: {Reason}", Header, exception.Message);
            context.Response.Headers.RetryAfter = "5";
            await RefuseAsync(context, "unavailable", StatusCodes.Status503ServiceUnavailable,
                $"It cannot be noted now that a call with this {Header} was made, so it was not made. Send it again later, with the same key.");
            return;
        }
        if (kept is null)
        {
            await ForwardAsync(context, call, claim, limit.Token);
            return;
        }
        await AnswerAsync(context, call, kept);
    }

    private static bool IsFor(HttpContext context) =>
        (HttpMethods.IsPost(context.Request.Method) || HttpMethods.IsPatch(context.Request.Method))
        && context.GetEndpoint()?.Metadata.GetMetadata<RouteModel>() is { } route && route.Config.ClusterId is not Routes.Identity;

    private async Task AnswerAsync(HttpContext context, IdempotentCall call, KeptCall kept)
    {
        if (!CryptographicOperations.FixedTimeEquals(kept.Fingerprint, call.Fingerprint))
        {
            await RefuseAsync(context, "other_body", StatusCodes.Status422UnprocessableEntity,
                $"This {Header} was used for a call with another body, content type or query. Send a new key with a new call, and the same call with the same key.");
            return;
        }
        if (kept.Status is not { } status)
        {
            context.Response.Headers.RetryAfter = "1";
            await RefuseAsync(context, "in_flight", StatusCodes.Status409Conflict,
                $"The call with this {Header} is still under way. Send it again later, with the same key.");
            return;
        }
        if (kept.Headers is null || kept.Body is null)
        {
            await RefuseAsync(context, "not_kept", StatusCodes.Status409Conflict, string.Create(CultureInfo.InvariantCulture,
                $"The call with this {Header} was made and answered with {status}; the answer was too large to be kept. Ask for what became of it."));
            return;
        }
        Count("replayed");
        context.Response.StatusCode = status;
        foreach (var (name, values) in JsonSerializer.Deserialize<Dictionary<string, string?[]>>(kept.Headers)!)
        {
            context.Response.Headers[name] = values;
        }
        context.Response.Headers[ReplayedHeader] = "true";
        await WriteAsync(context.Response, kept.Body);
    }

    /// <summary>From here on the client may go: the call runs to its end, within the limit of a request, so that its retry finds the answer.</summary>
    private async Task ForwardAsync(HttpContext context, IdempotentCall call, Guid claim, CancellationToken limit)
    {
        var response = context.Response;
        var (aborted, body) = (context.RequestAborted, context.Features.GetRequiredFeature<IHttpResponseBodyFeature>());
        var ours = response.Headers.Keys.ToHashSet(StringComparer.OrdinalIgnoreCase);
        await using var buffer = new AnswerBuffer(response, body.Stream);
        context.Features.Get<IHttpRequestTimeoutFeature>()?.DisableTimeout();
        context.RequestAborted = limit;
        response.Body = buffer;
        try
        {
            await next(context);
        }
        catch
        {
            await ReleaseAsync(call, claim);
            throw;
        }
        finally
        {
            context.RequestAborted = aborted;
            context.Features.Set(body);
        }

        if (context.Features.Get<IForwarderErrorFeature>() is not null && !response.HasStarted && IsFailure(response.StatusCode))
        {
            // The part of an answer that came says nothing; the problem is written further out.
            var status = limit.IsCancellationRequested ? StatusCodes.Status504GatewayTimeout : response.StatusCode;
            response.Clear();
            response.StatusCode = status;
            await ReleaseAsync(call, claim);
            return;
        }
        if (Released.Contains(response.StatusCode))
        {
            await ReleaseAsync(call, claim);
        }
        else
        {
            var answer = response.HasStarted ? null : new KeptAnswer(HeadersOf(response, ours), buffer.ToArray());
            await KeepAsync(call, claim, response.StatusCode, answer);
        }
        if (!response.HasStarted)
        {
            await WriteAsync(response, buffer.ToArray());
        }
    }

    /// <summary>What the proxy answers of itself. After an error in sending the body, the service's answer may have come all the same.</summary>
    private static bool IsFailure(int status) => status is 400 or 408 or 502 or 503 or 504;

    private static Dictionary<string, string?[]> HeadersOf(HttpResponse response, HashSet<string> ours) => response.Headers
        .Where(header => !NotKept.Contains(header.Key) && !ours.Contains(header.Key))
        .ToDictionary(header => header.Key, header => header.Value.ToArray());

    /// <summary>Before the client has the answer: its retry may be there at once.</summary>
    private async Task KeepAsync(IdempotentCall call, Guid claim, int status, KeptAnswer? answer)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var held = await store.KeepAsync(call, claim, status, answer);
                if (!held)
                {
                    logger.LogError("An answer could not be kept: the call took longer than its lease, and another gateway has made it again");
                }
                Count(!held ? "lost" : answer is null ? "streamed" : "kept");
                return;
            }
            catch (IdempotencyStoreException exception) when (attempt == KeepAttempts)
            {
                logger.LogError("An answer could not be kept, and after its lease the call can be made again: {Reason}", exception.Message);
                Count("lost");
                return;
            }
            catch (IdempotencyStoreException)
            {
                await Task.Delay(KeepPause * attempt);
            }
        }
    }

    private async Task ReleaseAsync(IdempotentCall call, Guid claim)
    {
        Count("released");
        try
        {
            await store.ReleaseAsync(call, claim);
        }
        catch (IdempotencyStoreException exception)
        {
            logger.LogWarning("A call that failed stays claimed until the end of its lease: {Reason}", exception.Message);
        }
    }

    /// <summary>To a client that is gone the server writes nothing.</summary>
    private static async Task WriteAsync(HttpResponse response, byte[] body)
    {
        if (body.Length > 0)
        {
            await response.Body.WriteAsync(body, CancellationToken.None);
        }
    }

    private async Task RefuseAsync(HttpContext context, string outcome, int status, string detail)
    {
        Count(outcome);
        context.Response.StatusCode = status;
        await problems.WriteAsync(new() { HttpContext = context, ProblemDetails = new ProblemDetails { Status = status, Detail = detail } });
    }

    private void Count(string outcome) => _calls.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
}

internal static class IdempotencyExtensions
{
    public static void AddIdempotency(this IHostApplicationBuilder builder)
    {
        // Only calls with a key need it: while it is away the gateway is healthy.
        builder.AddNpgsqlDataSource("mobiledb", settings => settings.DisableHealthChecks = true);
        builder.AddMigrations<IdempotencyStore>("mobiledb", "gateway");
        builder.Services.AddOptions<IdempotencyOptions>().BindConfiguration("Idempotency").ValidateDataAnnotations()
            .Validate<IOptions<ServiceLimits>>(
                (options, limits) => options.LeaseSeconds is not { } lease || lease > limits.Value.RequestSeconds,
                "Idempotency:LeaseSeconds must be more than Limits:RequestSeconds, or a call could be made again while it is under way.")
            .ValidateOnStart();
        builder.Services.AddSingleton<IdempotencyStore>();
        builder.Services.AddHostedService<IdempotencyWorker>();
    }

    /// <summary>After the check of tokens, whose caller a key belongs to, and right before the proxy.</summary>
    public static void UseIdempotency(this WebApplication app) => app.UseMiddleware<Idempotency>();
}
