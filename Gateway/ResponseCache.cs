using System.Collections.Concurrent;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.AspNetCore.OutputCaching.StackExchangeRedis;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;
using StackExchange.Redis;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Model;
using Yarp.ReverseProxy.Transforms;

namespace Gateway;

/// <summary>
/// Tells the output cache which answers may be kept and for whom. That is known only from an earlier answer, so calls for a resource that is not known
/// yet wait a moment for the first one's.
/// </summary>
internal sealed class ResponseCache(IServiceProvider services) : IOutputCachePolicy, IDisposable
{
    private const int MostPaths = 10_000;
    private static readonly TimeSpan FirstLook = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan RememberedNot = TimeSpan.FromMinutes(1);

    private readonly IConnectionMultiplexer? _redis = services.GetService<IConnectionMultiplexer>();
    private readonly MemoryCache _marks = new(new MemoryCacheOptions { SizeLimit = MostPaths });
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _looks = new();

    public Task InvokeAsync(HttpContext context, RequestDelegate next) => IsFor(context) ? LookAsync(context, next) : next(context);

    private async Task LookAsync(HttpContext context, RequestDelegate next)
    {
        var known = MarkOf(context);
        TaskCompletionSource? look = null;
        var resource = $"{context.Request.Host}{context.Request.Path}{context.Request.QueryString}";
        if (known is null)
        {
            look = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        // Also for what is known by now: until the first is through, its answer is not kept yet.
        if ((look is null ? _looks.GetValueOrDefault(resource) : _looks.GetOrAdd(resource, look)) is { } first && first != look)
        {
            look = null;
            await Task.WhenAny(first.Task, Task.Delay(FirstLook, context.RequestAborted));
            known = MarkOf(context);
        }
        try
        {
            if ((known ?? CacheMark.Assumed).IsFor(context.User))
            {
                KeepOwn(context.Response);
                context.Features.Set(new Call(this, known ?? CacheMark.Assumed, known is not null, look));
            }
            await next(context);
        }
        finally
        {
            if (look is not null)
            {
                _looks.TryRemove(resource, out _);
                look.TrySetResult();
            }
        }
    }

    /// <summary>The head of a service's answer: what it says about being kept.</summary>
    public static ValueTask OnAnswerAsync(ResponseTransformContext answer)
    {
        var context = answer.HttpContext;
        if (answer.ProxyResponse is not { } response || context.Features.Get<Call>() is not { } call
            || context.Features.Get<IOutputCacheFeature>()?.Context is not { } cache)
        {
            return ValueTask.CompletedTask;
        }
        var mark = CacheMark.Of(context.Request, response, out var validFor);
        if ((int)response.StatusCode is StatusCodes.Status200OK)
        {
            call.Cache.Remember(context, mark);
            call.MayBeKept = mark == call.Mark;
            cache.ResponseExpirationTimeSpan = validFor;
        }
        cache.AllowCacheStorage = call.MayBeKept;
        if (!call.MayBeKept)
        {
            // Whoever waits for it need not wait for the body.
            call.Look?.TrySetResult();
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask CacheRequestAsync(OutputCacheContext context, CancellationToken cancellation)
    {
        if (context.HttpContext.Features.Get<Call>() is { } call)
        {
            context.EnableOutputCaching = true;
            context.AllowCacheLookup = !WantsItNew(context.HttpContext.Request);
            context.AllowCacheStorage = true;
            context.AllowLocking = call.IsKnown;
            context.CacheVaryByRules.CacheKeyPrefix = call.Mark.KeyOf(context.HttpContext);
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask ServeFromCacheAsync(OutputCacheContext context, CancellationToken cancellation) => ValueTask.CompletedTask;

    /// <summary>Comes after the body, and an answer that broke off is none.</summary>
    public ValueTask ServeResponseAsync(OutputCacheContext context, CancellationToken cancellation)
    {
        var http = context.HttpContext;
        context.AllowCacheStorage = http.Features.Get<Call>() is { MayBeKept: true } && http.Response.StatusCode is StatusCodes.Status200OK
            && http.Features.Get<IForwarderErrorFeature>() is null;
        return ValueTask.CompletedTask;
    }

    public void Dispose() => _marks.Dispose();

    private bool IsFor(HttpContext context)
    {
        var request = context.Request;
        return HttpMethods.IsGet(request.Method)
            && context.GetEndpoint()?.Metadata.GetMetadata<RouteModel>() is { } route && route.Config.ClusterId is not (Routes.Identity or Routes.Sync)
            && request.Headers.Range.Count is 0 && request.Headers.Upgrade.Count is 0 && request.ContentLength is null
            && !request.Headers.Accept.ToString().Contains("text/event-stream", StringComparison.OrdinalIgnoreCase)
            && !(request.Headers.CacheControl.Count > 0 && CacheControlHeaderValue.TryParse(request.Headers.CacheControl.ToString(), out var control) && control.NoStore)
            && _redis is not { IsConnected: false }
            && MarkOf(context) is not { Kept: false };
    }

    private static bool WantsItNew(HttpRequest request) =>
        CacheControlHeaderValue.TryParse(request.Headers.CacheControl.ToString(), out var control)
        && (control.NoCache || control.MaxAge == TimeSpan.Zero);

    private CacheMark? MarkOf(HttpContext context) => _marks.Get<CacheMark>(PathOf(context));

    private void Remember(HttpContext context, CacheMark mark) =>
        _marks.Set(PathOf(context), mark, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = mark.Kept ? Remembered : RememberedNot });

    private static string PathOf(HttpContext context) => $"{context.Request.Host}{context.Request.Path}";

    /// <summary>What the gateway has said so far is for this caller, and no part of the answer that is kept.</summary>
    private static void KeepOwn(HttpResponse response)
    {
        if (response.Headers.Count is 0)
        {
            return;
        }
        var own = response.Headers.ToArray();
        response.Headers.Clear();
        response.OnStarting(() =>
        {
            foreach (var (name, value) in own)
            {
                response.Headers.TryAdd(name, value);
            }
            return Task.CompletedTask;
        });
    }

    internal sealed class Call(ResponseCache cache, CacheMark mark, bool isKnown, TaskCompletionSource? look)
    {
        public ResponseCache Cache => cache;

        public CacheMark Mark => mark;

        public bool IsKnown => isKnown;

        /// <summary>Others wait for it.</summary>
        public TaskCompletionSource? Look => look;

        public bool MayBeKept { get; set; }
    }
}

internal static class ResponseCacheExtensions
{
    /// <summary>Ahead of whatever else needs Redis: it brings the connection.</summary>
    public static void AddResponseCache(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<ResponseCacheOptions>().BindConfiguration("ResponseCache").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<ResponseCache>();
        services.AddOutputCache();
        services.AddOptions<OutputCacheOptions>().Configure<IOptions<ResponseCacheOptions>, ResponseCache>((cache, options, policy) =>
        {
            cache.AddBasePolicy(policy);
            cache.MaximumBodySize = options.Value.BodyBytes;
            cache.SizeLimit = options.Value.MemoryMegabytes * 1_048_576L;
            cache.UseCaseSensitivePaths = true;
        });
        if (builder.Configuration.GetConnectionString("redis") is { Length: > 0 })
        {
            builder.AddRedisOutputCache("redis", settings => settings.DisableHealthChecks = true);
            services.Configure<RedisOutputCacheOptions>(options => options.InstanceName = "gateway:");
        }
    }

    /// <summary>After the check of tokens and the app gate, which no answer goes past.</summary>
    public static void UseResponseCache(this WebApplication app)
    {
        if (app.Services.GetRequiredService<IOptions<ResponseCacheOptions>>().Value.Enabled)
        {
            app.Use(app.Services.GetRequiredService<ResponseCache>().InvokeAsync);
            app.UseWhen(context => context.Features.Get<ResponseCache.Call>() is not null, kept => kept.UseOutputCache());
        }
    }
}
