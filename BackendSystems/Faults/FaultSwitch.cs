namespace BackendSystems.Faults;

/// <summary>The fault switch of one system that is reached over HTTP. Its state lives in this process.</summary>
/// <param name="path">The business interface; nothing else is touched.</param>
/// <param name="writeErrorAsync">Answers an error of that status the way such a system does.</param>
internal sealed class FaultSwitch(PathString path, Func<HttpContext, int, Task> writeErrorAsync)
{
    private readonly Lock _lock = new();
    private Random _random = new(FaultSettings.Off.Seed);

    public PathString Path => path;

    public FaultSettings Settings { get; private set; } = FaultSettings.Off;

    public void Set(FaultSettings settings)
    {
        lock (_lock)
        {
            Settings = settings;
            _random = new(settings.Seed);
        }
    }

    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var (settings, fails, extraMs) = Draw();
        if (settings == FaultSettings.Off)
        {
            await next(context);
            return;
        }

        if (settings.Outage)
        {
            context.Abort();
            return;
        }

        await Task.Delay(TimeSpan.FromMilliseconds(settings.LatencyMs + extraMs), context.RequestAborted);
        if (settings.DripBytesPerSecond > 0)
        {
            context.Response.Body = new DripStream(context.Response.Body, settings.DripBytesPerSecond);
        }

        if (fails)
        {
            context.Response.StatusCode = settings.ErrorStatus;
            if (settings.ErrorStatus is 429 or 503)
            {
                context.Response.Headers.RetryAfter = "1";
            }

            await writeErrorAsync(context, settings.ErrorStatus);
            return;
        }

        await next(context);
    }

    private (FaultSettings Settings, bool Fails, double ExtraMs) Draw()
    {
        lock (_lock)
        {
            return (Settings, _random.NextDouble() < Settings.ErrorRate, _random.NextDouble() * Settings.JitterMs);
        }
    }
}
