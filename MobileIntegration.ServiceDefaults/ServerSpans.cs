using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// The span of a call that is answered: ASP.NET Core makes it and says what it knows at the beginning, here is added what is known at the end, by the semantic conventions
/// for HTTP servers. A call that is not traced goes past.
/// </summary>
internal sealed class ServerSpans : IStartupFilter
{
    public const string Source = "Microsoft.AspNetCore";

    public ServerSpans() =>
        // .NET 11 does so unasked.
        AppContext.SetSwitch("Microsoft.AspNetCore.Hosting.SuppressActivityOpenTelemetryData", false);

    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        app.Use(next => http => Activity.Current is { IsAllDataRequested: true, Source.Name: Source } span ? TraceAsync(http, next, span) : next(http));
        next(app);
    };

    private static async Task TraceAsync(HttpContext http, RequestDelegate next, Activity span)
    {
        if (Telemetry.IsRoutine(http.Request.Path.Value))
        {
            // And whatever is done for it.
            span.IsAllDataRequested = false;
            span.ActivityTraceFlags &= ~ActivityTraceFlags.Recorded;
            await next(http);
            return;
        }
        Exception? thrown = null;
        try
        {
            await next(http);
        }
        catch (Exception exception)
        {
            thrown = exception;
            throw;
        }
        finally
        {
            End(http, span, thrown);
        }
    }

    private static void End(HttpContext http, Activity span, Exception? thrown)
    {
        // Who answers for an exception takes the endpoint away.
        var handled = http.Features.Get<IExceptionHandlerFeature>();
        var route = ((http.GetEndpoint() ?? handled?.Endpoint) as RouteEndpoint)?.RoutePattern.RawText;
        var status = thrown is null ? http.Response.StatusCode : StatusCodes.Status500InternalServerError;
        if (route is not null)
        {
            span.DisplayName = $"{http.Request.Method} {route}";
            span.SetTag("http.route", route);
        }
        span.SetTag("http.response.status_code", status).SetTag("network.protocol.version", http.Request.Protocol is ['H', 'T', 'T', 'P', '/', .. var version] ? version : null);
        if (http.Request.Headers.UserAgent is [{ Length: > 0 } agent, ..])
        {
            span.SetTag("user_agent.original", agent);
        }
        if (status >= StatusCodes.Status500InternalServerError)
        {
            span.SetTag("error.type", (thrown ?? handled?.Error)?.GetType().FullName ?? status.ToString(CultureInfo.InvariantCulture)).SetStatus(ActivityStatusCode.Error);
        }
    }
}
