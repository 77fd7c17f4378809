using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// How long the caller of the request that is being answered waits. It goes down to every service and backend that is called meanwhile, less what
/// the way back takes, as <see cref="Header"/>: a time span, so that clocks need not agree.
/// </summary>
public sealed class Deadline
{
    /// <summary>Milliseconds, 50 to 30,000. Apps may send <c>Prefer: wait=N</c> (RFC 7240) instead, in seconds.</summary>
    public const string Header = "Deadline-Ms";

    private static readonly AsyncLocal<Deadline?> Ambient = new();
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);
    private readonly long _began = Stopwatch.GetTimestamp();
    private readonly TimeSpan _span;

    private Deadline(TimeSpan span) => _span = span;

    /// <summary>That of the request that is being answered; null when its caller and the settings say nothing.</summary>
    public static Deadline? Current => Ambient.Value;

    /// <summary>The whole of it.</summary>
    public TimeSpan Span => _span;

    /// <summary>It came as <c>Prefer: wait</c>: the answer says <c>Preference-Applied</c>.</summary>
    public bool IsPreference { get; private init; }

    /// <summary>Never below zero.</summary>
    public TimeSpan Remaining => _span - Stopwatch.GetElapsedTime(_began) is { Ticks: > 0 } left ? left : TimeSpan.Zero;

    /// <summary>What a service that is called now may take: a tenth less, 20 to 80 ms, so that its answer, or its word that there is none, is here in time.</summary>
    public TimeSpan PassedOn
    {
        get
        {
            var left = Remaining;
            var kept = TimeSpan.FromMilliseconds(Math.Clamp(left.TotalMilliseconds / 10, 20, 80));
            return left - kept is { Ticks: > 0 } rest ? rest : TimeSpan.Zero;
        }
    }

    internal static Task InvokeAsync(HttpContext http, RequestDelegate next, TimeSpan? otherwise)
    {
        // What a write has begun is not to be cut off half way; its caller asks again with the same key.
        if (!HttpMethods.IsGet(http.Request.Method) && !HttpMethods.IsHead(http.Request.Method))
        {
            return next(http);
        }
        if (!TryRead(http.Request.Headers, out var span, out var preferred))
        {
            return Malformed().ExecuteAsync(http);
        }
        return (span ?? otherwise) is { } given ? InvokeAsync(http, next, new Deadline(given) { IsPreference = preferred }) : next(http);
    }

    /// <summary>What is set here ends with this method.</summary>
    private static async Task InvokeAsync(HttpContext http, RequestDelegate next, Deadline deadline)
    {
        Ambient.Value = deadline;
        await next(http);
    }

    private static ProblemHttpResult Malformed() => TypedResults.Problem(
        $"{Header} must be whole milliseconds from {Shortest.TotalMilliseconds} to {Longest.TotalMilliseconds}. Send another, or none.",
        statusCode: StatusCodes.Status400BadRequest);

    /// <summary>A preference that cannot be read is no error (RFC 7240); one for longer than anybody waits is cut.</summary>
    private static bool TryRead(IHeaderDictionary headers, out TimeSpan? span, out bool preferred)
    {
        preferred = false;
        span = null;
        if (headers.TryGetValue(Header, out var exact))
        {
            var isGood = int.TryParse(exact, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds)
                && milliseconds >= Shortest.TotalMilliseconds && milliseconds <= Longest.TotalMilliseconds;
            span = TimeSpan.FromMilliseconds(milliseconds);
            return isGood;
        }
        foreach (var line in headers["Prefer"])
        {
            foreach (var preference in (line ?? "").Split(',', StringSplitOptions.TrimEntries))
            {
                if (preference.StartsWith("wait=", StringComparison.OrdinalIgnoreCase)
                    && int.TryParse(preference.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds > 0)
                {
                    span = TimeSpan.FromSeconds(Math.Min(seconds, (int)Longest.TotalSeconds));
                    preferred = true;
                    return true;
                }
            }
        }
        return true;
    }
}

/// <summary>For callers that name no deadline; configuration section <c>Deadlines</c>.</summary>
public sealed class DeadlineOptions
{
    /// <summary>Milliseconds that a request for reading may take; 50 to 30,000. Unset, only <c>Limits:RequestSeconds</c> holds; frontend services: 800.</summary>
    [Range(50, 30_000, ErrorMessage = "Deadlines:DefaultMilliseconds must be from 50 to 30000.")]
    public int? DefaultMilliseconds { get; set; }
}

/// <summary>Tells a called service how long its answer is waited for, and waits no longer.</summary>
internal sealed class DeadlinePassing : DelegatingHandler
{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (Deadline.Current is { } deadline && !request.Headers.Contains(Deadline.Header))
        {
            // Below what a service takes for a deadline, the call would be refused; it is given up here by then.
            var milliseconds = Math.Max(50, (int)deadline.PassedOn.TotalMilliseconds);
            request.Headers.TryAddWithoutValidation(Deadline.Header, milliseconds.ToString(CultureInfo.InvariantCulture));
        }
        return base.SendAsync(request, cancellationToken);
    }
}

internal static class DeadlineExtensions
{
    public static void UseDeadlines(this WebApplication app)
    {
        var milliseconds = app.Services.GetRequiredService<IOptions<DeadlineOptions>>().Value.DefaultMilliseconds;
        TimeSpan? otherwise = milliseconds is { } given ? TimeSpan.FromMilliseconds(given) : null;
        app.Use(next => http => Deadline.InvokeAsync(http, next, otherwise));
    }
}
