using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Http.Resilience;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using Polly.Timeout;
using JsonOptions = Microsoft.AspNetCore.Http.Json.JsonOptions;

namespace FrontendServices.Sections;

/// <summary>What all screens share.</summary>
internal sealed class Screens(SectionCache cache, CallsUnderWay underWay, IOptions<JsonOptions> json, ILogger<Screens> logger)
{
    /// <summary>Where the settings took the deadline away.</summary>
    public static readonly TimeSpan WithoutDeadline = TimeSpan.FromSeconds(30);

    public SectionCache Cache { get; } = cache;

    public CallsUnderWay UnderWay { get; } = underWay;

    public JsonSerializerOptions Json { get; } = json.Value.SerializerOptions;

    /// <summary>Begins the answer to a request, whose query may have <c>sections</c> and <c>fields</c>.</summary>
    public bool TryBegin(HttpContext http, SectionSet set, [NotNullWhen(true)] out Screen? screen, [NotNullWhen(false)] out ProblemHttpResult? refusal)
    {
        screen = null;
        refusal = null;
        var query = http.Request.Query;
        var wanted = set.Parse(query.TryGetValue("sections", out var sections) ? sections.ToString() : null, out var error);
        if (error is not null)
        {
            refusal = Invalid.Field("sections", error);
            return false;
        }
        var fields = set.ParseFields(query.TryGetValue("fields", out var list) ? list.ToString() : null, Json, out error);
        if (error is not null)
        {
            refusal = Invalid.Field("fields", error);
            return false;
        }
        screen = new(this, http, set, wanted, fields);
        return true;
    }

    public void Tell(HttpContext http, string section, string what, Problem problem, Exception exception) =>
        logger.LogWarning(exception, "{Path}: the section {Section} {What}: {Problem}", http.Request.Path, section, what, problem.Detail);
}

internal static class ScreensExtensions
{
    /// <summary>How long apps wait for a screen unless they or the settings say otherwise.</summary>
    private const int DefaultMilliseconds = 800;

    /// <summary>Screens and the failures of the services behind them, once however many slices have some.</summary>
    public static void AddScreens(this IHostApplicationBuilder builder)
    {
        if (!builder.Properties.TryAdd(nameof(Screens), true))
        {
            return;
        }
        builder.Services.AddOptions<SectionsOptions>().BindConfiguration("Sections").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.PostConfigure<DeadlineOptions>(options => options.DefaultMilliseconds ??= DefaultMilliseconds);
        builder.Services.AddExceptionHandler<ServiceFailures>();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<SectionCache>();
        builder.Services.AddSingleton<CallsUnderWay>();
        builder.Services.AddSingleton<Screens>();
        builder.Services.AddTransient<AgeReading>();
        // An answer, even that a backend system is away, is one: only a service that gives none is left alone for a moment.
        builder.Services.PostConfigureAll<HttpStandardResilienceOptions>(options =>
            options.CircuitBreaker.ShouldHandle = static attempt => ValueTask.FromResult(attempt.Outcome.Exception is HttpRequestException or TimeoutRejectedException));
    }

    /// <summary>A client of an integration service, once however many slices use it.</summary>
    public static void AddServiceClient<TClient>(this IHostApplicationBuilder builder, string service) where TClient : class
    {
        builder.AddScreens();
        if (builder.Properties.TryAdd(typeof(TClient).Name, true))
        {
            builder.Services.AddHttpClient<TClient>(http => http.BaseAddress = new($"http://{service}")).PassToken().AddHttpMessageHandler<AgeReading>();
        }
    }
}
