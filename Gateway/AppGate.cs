using System.Text;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Model;

namespace Gateway;

/// <summary>Stops the versions of apps and the devices that the rules block, at every route and before anything else is done for them.</summary>
internal sealed class AppGate(
    RequestDelegate next, AppGateRules rules, AppGateCalls calls, IOptions<AppGateOptions> options, TimeProvider time, IProblemDetailsService problems)
{
    /// <summary>What a warned app is told, as a structured field (RFC 9651): <c>warn;rule="r";minimum="1.5.0";store="https://...";message=%"..."</c>.</summary>
    public const string DecisionHeader = "X-App-Decision";

    /// <summary>A browser opens these, which knows of no app, and an app asks the last two what becomes of it.</summary>
    private static readonly PathString[] NeverGated =
        ["/identity/.well-known", "/identity/connect/authorize", "/identity/device", "/identity/logout", "/devices/init", "/devices/keys"];

    public Task InvokeAsync(HttpContext context)
    {
        // What is no route of a service has nothing to be kept from.
        if (context.GetEndpoint()?.Metadata.GetMetadata<RouteModel>() is null
            || !IsGated(context.Request.Path))
        {
            return next(context);
        }
        if (AppHeaders.Read(context.Request, out var call) is { } wrong)
        {
            return RefuseAsync(context, StatusCodes.Status400BadRequest, wrong);
        }
        return rules.Current is null ? WithoutRulesAsync(context, call) : GoOnAsync(context, call);
    }

    private async Task WithoutRulesAsync(HttpContext context, AppCall? call)
    {
        await rules.AskedAsync(context.RequestAborted);
        if (rules.Current is null && options.Value.BeforeRules is GateDefault.Refuse)
        {
            context.Response.Headers.RetryAfter = "5";
            await RefuseAsync(context, StatusCodes.Status503ServiceUnavailable, "The rules about versions of apps are not here yet. Try again later.");
            return;
        }
        await GoOnAsync(context, call);
    }

    private Task GoOnAsync(HttpContext context, AppCall? call)
    {
        if (call is null)
        {
            return WithoutHeadersAsync(context);
        }
        context.Features.Set(call);
        return JudgeAsync(context, call);
    }

    public static bool IsGated(PathString path) => !Array.Exists(NeverGated, never => path.StartsWithSegments(never));

    private Task JudgeAsync(HttpContext context, AppCall call)
    {
        var open = calls.Add(call, context.RequestAborted);
        context.Response.RegisterForDispose(open);
        // After it stands among the open ones: rules that come now find it there.
        var decision = rules.Current?.Decide(call, time.GetUtcNow()) ?? AppDecision.Allow;
        if (decision.Action is AppAction.Block)
        {
            return BlockAsync(context, call, decision);
        }
        if (decision.Action is AppAction.Warn)
        {
            context.Response.Headers[DecisionHeader] = Notice(decision);
        }
        context.RequestAborted = open.Ended;
        context.Features.Set(new GatedCall(this, open));
        return next(context);
    }

    /// <summary>Answers a call that was ended as if it came only now, if nothing was answered yet.</summary>
    private Task EndAsync(HttpContext context, AppCall call, AppDecision decision)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return Task.CompletedTask;
        }
        context.Response.Clear();
        context.RequestAborted = CancellationToken.None;
        return BlockAsync(context, call, decision);
    }

    /// <summary>The proxy's part of the gate: it stands where the proxy's answer has not become a problem of its own yet.</summary>
    public static async Task ProxyAsync(HttpContext context, RequestDelegate proxy)
    {
        await proxy(context);
        // An answer that was through already stays one.
        if (context.Features.Get<IForwarderErrorFeature>() is not null && context.Features.Get<GatedCall>() is { Open.Decision: { } decision } gated)
        {
            await gated.Gate.EndAsync(context, gated.Open.Call, decision);
        }
    }

    private Task WithoutHeadersAsync(HttpContext context) =>
        options.Value.WithoutHeaders is GateDefault.Refuse && !context.Request.Path.StartsWithSegments("/identity") ? OnlyForItselfAsync(context) : next(context);

    private async Task OnlyForItselfAsync(HttpContext context)
    {
        if (!await CallsForItselfAsync(context))
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest,
                $"The call does not say which app it comes from. Send {AppHeaders.Id}, {AppHeaders.Version}, {AppHeaders.Platform}, {AppHeaders.System} and {AppHeaders.Device}.");
            return;
        }
        await next(context);
    }

    private static async Task<bool> CallsForItselfAsync(HttpContext context) =>
        (await context.AuthenticateAsync()).Principal is { } caller
        && caller.FindFirst("client_id")?.Value is { } client && caller.FindFirst("sub")?.Value == client;

    /// <summary>426 where a newer version mends it (RFC 9110, section 15.5.22), else 403.</summary>
    private Task BlockAsync(HttpContext context, AppCall call, AppDecision decision)
    {
        var status = decision.MinimumVersion is null ? StatusCodes.Status403Forbidden : StatusCodes.Status426UpgradeRequired;
        if (decision.MinimumVersion is { } minimum && HttpProtocol.IsHttp11(context.Request.Protocol))
        {
            context.Response.Headers.Upgrade = $"{call.AppId}/{minimum}";
            context.Response.Headers.Connection = "upgrade";
        }
        var detail = decision.Message ?? (
            decision.DeviceBlocked ? "This device is blocked. Ask whoever runs this service."
            : decision.MinimumVersion is null ? $"Version {call.Version} of this app is blocked."
            : $"Version {call.Version} of this app is blocked. Update it to {decision.MinimumVersion} or newer.");
        return RefuseAsync(context, status, detail, new()
        {
            ["decision"] = "block",
            ["rule"] = decision.Rule,
            ["deviceBlocked"] = decision.DeviceBlocked ? true : null,
            ["minimumVersion"] = decision.MinimumVersion,
            ["store"] = decision.Store,
        });
    }

    private async Task RefuseAsync(HttpContext context, int status, string detail, Dictionary<string, object?>? more = null)
    {
        context.Response.StatusCode = status;
        context.Response.Headers.CacheControl = "no-store";
        var problem = new ProblemDetails { Status = status, Detail = detail };
        foreach (var (name, value) in more ?? [])
        {
            if (value is not null)
            {
                problem.Extensions[name] = value;
            }
        }
        await problems.WriteAsync(new() { HttpContext = context, ProblemDetails = problem });
    }

    private static string Notice(AppDecision decision)
    {
        var notice = new StringBuilder("warn;rule=\"").Append(decision.Rule).Append('"');
        if (decision.MinimumVersion is { } minimum)
        {
            notice.Append(";minimum=\"").Append(minimum).Append('"');
        }
        if (decision.Store is { } store)
        {
            notice.Append(";store=\"").Append(store).Append('"');
        }
        if (decision.Message is { } message)
        {
            notice.Append(";message=%\"");
            foreach (var octet in Encoding.UTF8.GetBytes(message))
            {
                // RFC 9651, section 3.3.8: a display string escapes what is not printable ASCII, the percent sign and the quote.
                _ = octet is < 0x20 or > 0x7e or (byte)'%' or (byte)'"' ? notice.Append('%').Append(Convert.ToHexStringLower([octet])) : notice.Append((char)octet);
            }
            notice.Append('"');
        }
        return notice.ToString();
    }

    private sealed record GatedCall(AppGate Gate, AppGateCalls.OpenCall Open);
}

internal static class AppGateExtensions
{
    public static void AddAppGate(this IHostApplicationBuilder builder)
    {
        builder.Services.AddOptions<AppGateOptions>().BindConfiguration("AppGate").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<AppGateCalls>();
        builder.Services.AddHttpClient<DevicesClient>(http => http.BaseAddress = new("http://devices")).WithoutRetries();
        builder.Services.AddSingleton<AppGateRules>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<AppGateRules>());
        builder.AddRedisNews();
    }

    /// <summary>Ahead of the check of tokens, so before the default endpoints: a version that is blocked need not log in to learn of it.</summary>
    public static void UseAppGate(this WebApplication app) => app.UseMiddleware<AppGate>();

    /// <summary>After the default endpoints: ends the calls that are open when their version is blocked.</summary>
    public static void UseAppGateEnds(this WebApplication app) => app.Use(AppGate.ProxyAsync);
}
