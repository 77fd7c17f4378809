using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.AspNetCore.ResponseCompression;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace Gateway;

/// <summary>What stands between the open net and all else.</summary>
internal static class Edge
{
    /// <summary>Of the answers, what a web page may read.</summary>
    private static readonly string[] Readable =
    [
        RequestLog.Header, AppGate.DecisionHeader, Idempotency.ReplayedHeader, "Age", "ETag", "Link", "Location", "Retry-After", "WWW-Authenticate",
        "RateLimit", "RateLimit-Policy",
    ];

    public static void AddEdge(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        var start = new Start();
        services.AddSingleton(start);
        // It writes whole addresses, with what stands in the query.
        builder.Configuration["Logging:LogLevel:Yarp.ReverseProxy.Forwarder"] ??= "Warning";
        // Every probe of every destination; that one has come or gone is told by DestinationHealthUpdater.
        builder.Configuration["Logging:LogLevel:Yarp.ReverseProxy.Health.ActiveHealthCheckMonitor"] ??= "Error";
        if (builder.Configuration["Logging:LogLevel:Microsoft.AspNetCore.Hosting.Diagnostics"] is null)
        {
            // Its scope says the id, path and connection of each call again. Before the first call it tells what failed at the start, as nothing else does.
            builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", level => !start.IsOver && level >= LogLevel.Warning);
        }
        if (!builder.Environment.IsDevelopment() && !string.IsNullOrWhiteSpace(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
        {
            // The line a call goes where the traces go. A second one on the console is for a developer's eyes: it wakes a thread for each call.
            builder.Configuration["Logging:Console:LogLevel:Gateway.RequestLog"] ??= "Warning";
        }
        services.AddOptions<EdgeOptions>().BindConfiguration("Edge").ValidateDataAnnotations()
            .Validate(edge => edge.HeaderLineBytes <= edge.HeaderBytes, "Edge:HeaderLineBytes must not be more than Edge:HeaderBytes.")
            .ValidateOnStart();
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<EdgeOptions>>((kestrel, edge) =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestLineSize = edge.Value.UrlBytes * 2;
            kestrel.Limits.MaxRequestHeadersTotalSize = edge.Value.HeaderBytes * 2;
            kestrel.Limits.MaxRequestHeaderCount = edge.Value.HeaderCount * 2;
        });
        // RFC 9112, section 2.2, lets a server take a bare LF for the end of a line; not every server before this one does.
        AppContext.SetSwitch("Microsoft.AspNetCore.Server.Kestrel.DisableHttp1LineFeedTerminators", true);
        services.AddHsts(hsts => hsts.MaxAge = TimeSpan.FromDays(365));
        services.AddProblemDetails(options => options.CustomizeProblemDetails =
            context => context.ProblemDetails.Extensions["requestId"] = context.HttpContext.TraceIdentifier);

        services.AddResponseCompression(compression =>
        {
            compression.EnableForHttps = true;
            compression.MimeTypes = [.. ResponseCompressionDefaults.MimeTypes, "application/problem+json"];
        });
        services.AddOptions<CorsSettings>().BindConfiguration("Cors").ValidateDataAnnotations().ValidateOnStart();
        services.AddCors();
        services.AddOptions<CorsOptions>().Configure<IOptions<CorsSettings>>((cors, settings) =>
            cors.AddDefaultPolicy(policy =>
            {
                policy.WithOrigins([.. settings.Value.Origins]).WithMethods(Routes.Methods).AllowAnyHeader()
                    .WithExposedHeaders(Readable).SetPreflightMaxAge(TimeSpan.FromHours(1));
                if (settings.Value.Credentials)
                {
                    policy.AllowCredentials();
                }
            }));
    }

    /// <summary>First of all.</summary>
    public static void UseEdge(this WebApplication app)
    {
        app.Lifetime.ApplicationStarted.Register(app.Services.GetRequiredService<Start>().End);
        app.UseMiddleware<RequestLog>();
        app.UseHsts();
        app.UseMiddleware<RequestGuard>();
        if (app.Configuration.GetSection("Cors:Origins").GetChildren().Any())
        {
            app.UseCors();
        }
        // Over TLS the length of what is compressed tells of it (BREACH), and these answers hold tokens beside what a page of another origin can choose.
        // What a feed tells is not to wait in the compressor for more.
        app.UseWhen(context => !context.Request.Path.StartsWithSegments("/identity") && !(context.Request.Path.StartsWithSegments("/sync") && context.Request.Query.ContainsKey("feed")), rest => rest.UseResponseCompression());
    }

    /// <summary>After the check of tokens: nothing is read for a caller who may not call.</summary>
    public static void UseBodyGuard(this WebApplication app) => app.UseMiddleware<BodyGuard>();

    private sealed class Start
    {
        public bool IsOver { get; private set; }

        public void End() => IsOver = true;
    }
}
