using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Mvc;
using MobileIntegration.ServiceDefaults;
using StackExchange.Redis;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Model;

namespace Gateway;

/// <summary>
/// Who calls, by API key, and whether that is within the limits of the plan; every answer says what is left
/// (draft-ietf-httpapi-ratelimit-headers-10).
/// </summary>
internal sealed class Limits(
    RequestDelegate next,
    LimitPlans plans,
    LimitCounters counters,
    LimitRefusals refusals,
    ApiClients clients,
    LimitsOptions options,
    KnownTokens known,
    IMeterFactory meters,
    IProblemDetailsService problems)
{
    public const string CounterName = "mobile.gateway.limits";
    public const string QuotaProblem = "https://iana.org/assignments/http-problem-types#quota-exceeded";

    private const int LongestUser = 100;

    private readonly Counter<long> _calls = meters.Create(Idempotency.MeterName).CreateCounter<long>(
        CounterName, "{call}", "Calls by what the limits made of them, and by the limit that decided");

    public Task InvokeAsync(HttpContext context)
    {
        var header = context.Request.Headers[ApiKeys.Header];
        if (header.Count > 0)
        {
            // It is for the gateway alone.
            context.Request.Headers.Remove(ApiKeys.Header);
        }
        if (context.GetEndpoint()?.Metadata.GetMetadata<RouteModel>()?.Config is not { } route)
        {
            return next(context);
        }
        var key = ApiKeys.Read(header) is { } hash ? clients.Find(hash) : null;
        key?.Use();
        var plan = key?.Client.Plan ?? plans.Default;
        var within = plan.Limits.Length is 0 ? new(true) : IsWithinAsync(context, plan, key?.Client.Id ?? "", route.RouteId);
        return within.IsCompletedSuccessfully ? GoOnAsync(context, within.Result, key, header.Count > 0, route) : GoOnAsync(context, within, key, header.Count > 0, route);
    }

    private async Task GoOnAsync(HttpContext context, ValueTask<bool> within, ApiKey? key, bool isNamed, RouteConfig route) =>
        await GoOnAsync(context, await within, key, isNamed, route);

    private Task GoOnAsync(HttpContext context, bool isWithin, ApiKey? key, bool isNamed, RouteConfig route)
    {
        if (!isWithin)
        {
            return Task.CompletedTask;
        }
        if (key is null && isNamed)
        {
            // After the limits, so that they hold for who tries keys too.
            return RefuseKeyAsync(context);
        }
        return key is null && options.RequireApiKey && route.ClusterId is not Routes.Identity
            ? UnauthorizedAsync(context, $"This needs an API key. Send it as {ApiKeys.Header}; whoever runs this service gives one out.")
            : next(context);
    }

    private async ValueTask<bool> IsWithinAsync(HttpContext context, LimitPlan plan, string client, string route)
    {
        var limits = plan.Limits;
        var keys = new string[limits.Length];
        var user = Array.Exists(limits, limit => limit.Per is LimitPer.User) ? UserOf(known.Find(context) ?? await CheckAsync(context)) : null;
        for (var i = 0; i < keys.Length; i++)
        {
            keys[i] = $"limits:{client}:{limits[i].KeyPart}:{SubjectOf(limits[i].Per, context, user, route)}";
            if (refusals.Wait(limits[i], keys[i]) is > 0 and var wait)
            {
                await RefuseAsync(context, plan, limits[i], new(wait, 0, wait), "refused_from_memory");
                return false;
            }
        }
        var foreseen = new LimitCount[limits.Length];
        var outlook = counters.Foresee(limits, keys, foreseen);
        if (outlook is Outlook.Known)
        {
            Pass(context, plan, foreseen);
            return true;
        }
        var taking = counters.TakeAsync(limits, keys);
        if (!taking.IsCompleted && outlook is Outlook.Plenty)
        {
            // The answer comes while the service is called.
            context.Response.OnStarting(static async state =>
            {
                var (self, context, plan, taking) = ((Limits, HttpContext, LimitPlan, Task<LimitCount[]>))state;
                self.Passed(context.Response, plan, await taking);
            }, (this, context, plan, taking.AsTask()));
            return true;
        }
        var counts = await taking;
        var tightest = Tightest(counts);
        if (counts[tightest].Wait > 0)
        {
            await RefuseAsync(context, plan, limits[tightest], counts[tightest], "refused");
            return false;
        }
        Pass(context, plan, counts);
        return true;
    }

    private void Pass(HttpContext context, LimitPlan plan, LimitCount[] counts) => context.Response.OnStarting(static state =>
    {
        var (self, context, plan, counts) = ((Limits, HttpContext, LimitPlan, LimitCount[]))state;
        self.Passed(context.Response, plan, counts);
        return Task.CompletedTask;
    }, (this, context, plan, counts));

    private static int Tightest(LimitCount[] counts)
    {
        var tightest = 0;
        for (var i = 1; i < counts.Length; i++)
        {
            if (counts[i].Wait > counts[tightest].Wait || (counts[i].Wait == counts[tightest].Wait && counts[i].Left < counts[tightest].Left))
            {
                tightest = i;
            }
        }
        return tightest;
    }

    /// <summary>At the last moment: what a service says of limits of its own is not the gateway's word, and an error clears what stands there.</summary>
    private void Passed(HttpResponse response, LimitPlan plan, LimitCount[] counts)
    {
        var tightest = Tightest(counts);
        var limit = plan.Limits[tightest];
        Count("passed", limit.Name);
        Tell(response, plan, limit, counts[tightest].Left, Seconds(counts[tightest].Reset));
    }

    /// <summary>Whoever leaves out what a limit counts by is counted by his address, and escapes nothing.</summary>
    private static string SubjectOf(LimitPer per, HttpContext context, string? user, string route) => per switch
    {
        LimitPer.Client => "",
        LimitPer.Route => route,
        LimitPer.User when user is not null => $"={user}",
        LimitPer.Device when context.Request.Headers[AppHeaders.Device] is [{ } device] && Guid.TryParseExact(device, "D", out var id) => $"={id:n}",
        _ => AddressOf(context.Connection.RemoteIpAddress),
    };

    private static async Task<ClaimsPrincipal?> CheckAsync(HttpContext context)
    {
        if ((await context.AuthenticateAsync()).Principal is not { } caller)
        {
            return null;
        }
        return context.User = caller;
    }

    private static string? UserOf(ClaimsPrincipal? caller) => caller?.FindFirst("sub")?.Value switch
    {
        { Length: > LongestUser } subject => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(subject))),
        var subject => subject,
    };

    /// <summary>Of IPv6 the network: a subscriber has all the addresses in it.</summary>
    private static string AddressOf(IPAddress? address)
    {
        if (address is not { AddressFamily: AddressFamily.InterNetworkV6, IsIPv4MappedToIPv6: false })
        {
            return (address?.IsIPv4MappedToIPv6 is true ? address.MapToIPv4() : address)?.ToString() ?? "unknown";
        }
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out _);
        bytes[8..].Clear();
        return new IPAddress(bytes).ToString();
    }

    private Task RefuseAsync(HttpContext context, LimitPlan plan, Limit limit, LimitCount count, string outcome)
    {
        Count(outcome, limit.Name);
        var seconds = Seconds(count.Wait);
        Tell(context.Response, plan, limit, 0, seconds);
        context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        return WriteAsync(context, new()
        {
            Type = QuotaProblem,
            Status = StatusCodes.Status429TooManyRequests,
            Detail = $"The limit '{limit.Name}' of the plan '{plan.Name}' is reached: {limit.Text}. Try again in {seconds} s.",
            Extensions = { ["violated-policies"] = new[] { limit.Name } },
        });
    }

    private Task RefuseKeyAsync(HttpContext context)
    {
        if (clients.AreKnown)
        {
            return UnauthorizedAsync(context, $"The API key in {ApiKeys.Header} does not exist or was revoked. Send the one that whoever runs this service gave out, once.");
        }
        Count("keys_unknown", null);
        context.Response.Headers.RetryAfter = "5";
        return WriteAsync(context, new()
        {
            Status = StatusCodes.Status503ServiceUnavailable,
            Detail = "API keys cannot be checked yet. Try again later with the same key.",
        });
    }

    private Task UnauthorizedAsync(HttpContext context, string detail)
    {
        Count("key_refused", null);
        context.Response.Headers.WWWAuthenticate = $"ApiKey header=\"{ApiKeys.Header}\"";
        return WriteAsync(context, new() { Status = StatusCodes.Status401Unauthorized, Detail = detail });
    }

    private async Task WriteAsync(HttpContext context, ProblemDetails problem)
    {
        context.Response.StatusCode = problem.Status!.Value;
        context.Response.Headers.CacheControl = "no-store";
        await problems.WriteAsync(new() { HttpContext = context, ProblemDetails = problem });
    }

    private static void Tell(HttpResponse response, LimitPlan plan, Limit limit, long left, long seconds)
    {
        response.Headers["RateLimit-Policy"] = plan.Policy;
        response.Headers["RateLimit"] = string.Create(CultureInfo.InvariantCulture, $"\"{limit.Name}\";r={left};t={seconds}");
    }

    private static long Seconds(long micros) => Math.Max(1, (micros + 999_999) / 1_000_000);

    private void Count(string outcome, string? limit) => _calls.Add(
        1, new KeyValuePair<string, object?>("outcome", outcome), new KeyValuePair<string, object?>("limit", limit));
}

internal static class LimitsExtensions
{
    /// <exception cref="MobileIntegration.ServiceDefaults.StartException">A setting is wrong.</exception>
    public static void AddLimits(this IHostApplicationBuilder builder)
    {
        var options = LimitsOptions.Read(builder.Configuration);
        builder.Services.AddSingleton(options);
        builder.Services.AddSingleton(new LimitPlans(options));
        builder.Services.AddSingleton<LimitCounters>();
        builder.Services.AddSingleton<LimitRefusals>();
        builder.Services.AddSingleton<ApiClientStore>();
        builder.Services.AddSingleton<ApiClients>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<ApiClients>());
        if (builder.Configuration.GetConnectionString(LimitCounters.RedisKey) is { Length: > 0 })
        {
            // A connection of its own, which refuses at once while it is interrupted: others may wait for Redis, a call does not.
            builder.AddKeyedRedisClient(LimitCounters.RedisKey, settings => settings.DisableHealthChecks = true, redis =>
            {
                redis.BacklogPolicy = BacklogPolicy.FailFast;
                redis.ConnectTimeout = 1000;
                redis.ReconnectRetryPolicy = new LinearRetry(500);
            });
        }
    }

    /// <summary>After the app gate, and before the default endpoints: calls with a wrong token are counted too.</summary>
    public static void UseLimits(this WebApplication app) => app.UseMiddleware<Limits>();
}
