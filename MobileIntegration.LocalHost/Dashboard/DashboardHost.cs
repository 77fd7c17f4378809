using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.HostFiltering;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.FluentUI.AspNetCore.Components;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Running;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>The dashboard: a web application of its own in the AppHost's process, on the loopback interface. It receives the telemetry too.</summary>
internal sealed class DashboardHost(IServiceProvider appHost, string applicationName) : IAsyncDisposable
{
    private const string OtlpKeySetting = "AppHost:OtlpApiKey";
    private const string GrpcSetting = "ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL";
    private const string HttpSetting = "ASPIRE_DASHBOARD_OTLP_HTTP_ENDPOINT_URL";
    private readonly CancellationTokenSource _stopping = new();
    private Task<WebApplication>? _listening;

    /// <summary>Where to log in; known as soon as the start has begun.</summary>
    public string? LoginUrl { get; private set; }

    /// <summary>Chooses the addresses, tells the settings where telemetry goes, and starts to listen.</summary>
    /// <exception cref="DistributedApplicationException">A port is taken or an address is none.</exception>
    public Task StartAsync(Ports ports, CancellationToken ct)
    {
        var settings = appHost.GetRequiredService<IConfiguration>();
        var page = Port(ports, settings, "dashboard", "ASPNETCORE_URLS");
        var grpc = Port(ports, settings, "otlp-grpc", GrpcSetting);
        var http = Port(ports, settings, "otlp-http", HttpSetting);
        settings[GrpcSetting] = $"http://localhost:{grpc}";
        settings[HttpSetting] = $"http://localhost:{http}";
        settings[OtlpKeySetting] ??= RandomNumberGenerator.GetHexString(32, lowercase: true);
        var login = DashboardLogin.From(settings, page);
        LoginUrl = login.Url;
        return _listening = Task.Run(() => ListenAsync(settings, login, page, grpc, http, _stopping.Token), ct);
    }

    public async Task StopAsync()
    {
        if (Interlocked.Exchange(ref _listening, null) is not { } listening)
        {
            return;
        }

        await _stopping.CancelAsync();
        try
        {
            await using var app = await listening;
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            await app.StopAsync(patience.Token);
        }
        catch (Exception)
        {
            // It did not come up, which its start has told, or the AppHost ended before it had.
        }
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    /// <summary>The port of the address that a setting gives, else one that is kept like those of resources (<c>Ports:NAME</c> fixes it).</summary>
    private static int Port(Ports ports, IConfiguration settings, string name, string addressSetting)
    {
        var address = settings[addressSetting]?.Split(';')[0];
        if (string.IsNullOrEmpty(address))
        {
            return ports.Public(name, "http", null);
        }

        return Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.Scheme == Uri.UriSchemeHttp
            ? ports.Public(name, "http", uri.Port)
            : throw new DistributedApplicationException($"{addressSetting} is '{address}': give an http address of this machine, such as http://localhost:15080.");
    }

    private async Task<WebApplication> ListenAsync(IConfiguration settings, DashboardLogin login, int page, int grpc, int http, CancellationToken ct)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = typeof(DashboardHost).Assembly.GetName().Name });
        builder.WebHost.UseKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.ListenLocalhost(page, listen => listen.Protocols = HttpProtocols.Http1);
            kestrel.ListenLocalhost(grpc, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.ListenLocalhost(http, listen => listen.Protocols = HttpProtocols.Http1);
        });
        var board = new ResourceBoard(appHost.GetRequiredService<ResourceNotificationService>(), appHost.GetRequiredService<DistributedApplicationModel>());
        var services = builder.Services;
        services.AddSingleton<ILoggerFactory>(new QuietStart(appHost.GetRequiredService<ILoggerFactory>()));
        services.AddSingleton<IHostLifetime, EndsWithTheAppHost>();
        services.AddSingleton(appHost.GetRequiredService<ResourceNotificationService>());
        services.AddSingleton(appHost.GetRequiredService<ResourceLoggerService>());
        services.AddSingleton(appHost.GetRequiredService<ResourceCommandService>());
        services.AddSingleton(appHost.GetRequiredService<DistributedApplicationModel>());
        services.AddSingleton(new DashboardTitle(applicationName));
        services.AddSingleton(board);
        services.AddSingleton<ResourceColours>();
        services.AddSingleton<ImportedTelemetry>();
        services.AddScoped<DashboardView>();
        services.AddSingleton(login);
        services.AddTelemetry(settings, settings[OtlpKeySetting], board.ListeningAt, Path.Combine(appHost.GetRequiredService<RunningSettings>().DataFolder, "telemetry"));
        services.AddRouting();
        services.AddDataProtection().UseEphemeralDataProtectionProvider();
        services.Configure<HostFilteringOptions>(filter => filter.AllowedHosts = ["localhost", "127.0.0.1", "[::1]"]);
        login.AddTo(services);
        services.AddHttpClient();
        services.AddRazorComponents().AddInteractiveServerComponents();
        services.AddFluentUIComponents();

        var app = builder.Build();
        app.Environment.WebRootFileProvider = new EmbeddedFiles(typeof(DashboardHost).Assembly);
        app.UseHostFiltering();
        app.Use((context, next) => GuardAsync(context, next, page));
        app.UseStaticFiles(new StaticFileOptions { FileProvider = app.Environment.WebRootFileProvider });
        app.UseRouting();
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseAntiforgery();
        app.MapOtlp();
        login.Map(app);
        app.MapDownloads();
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode(mode => mode.ContentSecurityFrameAncestorsPolicy = null)
            .RequireAuthorization();
        try
        {
            await app.StartAsync(ct);
            return app;
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
    }

    // Pages are on one port and telemetry on two others: neither is offered where the other is.
    private static Task GuardAsync(HttpContext context, RequestDelegate next, int page)
    {
        var isTelemetry = context.Request.Path.StartsWithSegments("/v1") || context.Request.Path.Value!.StartsWith("/opentelemetry.", StringComparison.Ordinal);
        if (isTelemetry == (context.Connection.LocalPort == page))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy =
            "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        return next(context);
    }
}

/// <summary>Signals and the lines about the start are the AppHost's affair.</summary>
internal sealed class EndsWithTheAppHost : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}

/// <summary>The addresses are told with the login link, not also when the host begins to listen.</summary>
internal sealed class QuietStart(ILoggerFactory loggers) : ILoggerFactory
{
    public ILogger CreateLogger(string categoryName) =>
        categoryName == "Microsoft.Hosting.Lifetime" ? NullLogger.Instance : loggers.CreateLogger(categoryName);

    public void AddProvider(ILoggerProvider provider) => loggers.AddProvider(provider);

    public void Dispose()
    {
        // The factory is the AppHost's.
    }
}

internal sealed record DashboardTitle(string Name);
