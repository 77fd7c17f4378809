using System.Collections.Concurrent;
using MobileIntegration.ServiceDefaults;

namespace Gateway;

/// <summary>Cuts the calls that are open when their token ends before its time: streams of events, sockets, long polls.</summary>
internal sealed class RevokedCalls
{
    private readonly ConcurrentDictionary<OpenCall, bool> _open = [];
    private readonly RevokedTokens _revoked;

    public RevokedCalls(RevokedTokens revoked)
    {
        _revoked = revoked;
        revoked.Added += (_, _) => CutRevoked();
    }

    public Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (context.User.Identity?.IsAuthenticated is not true)
        {
            return next(context);
        }
        var call = new OpenCall(this, context);
        _open[call] = true;
        context.Response.RegisterForDispose(call);
        // The token may have ended between its check and now.
        if (_revoked.Holds(context.User))
        {
            context.Abort();
            return Task.CompletedTask;
        }
        return next(context);
    }

    private void CutRevoked()
    {
        foreach (var (call, _) in _open)
        {
            call.CutIf(_revoked);
        }
    }

    private sealed class OpenCall(RevokedCalls calls, HttpContext context) : IDisposable
    {
        private readonly Lock _lock = new();
        private HttpContext? _context = context;

        public void CutIf(RevokedTokens revoked)
        {
            lock (_lock)
            {
                if (_context is { } open && revoked.Holds(open.User))
                {
                    open.Abort();
                }
            }
        }

        /// <summary>From here on the context is that of another call.</summary>
        public void Dispose()
        {
            calls._open.TryRemove(this, out _);
            lock (_lock)
            {
                _context = null;
            }
        }
    }
}

internal static class RevokedCallsExtensions
{
    public static void AddRevokedCalls(this IHostApplicationBuilder builder) => builder.Services.AddSingleton<RevokedCalls>();

    /// <summary>After the check of tokens.</summary>
    public static void UseRevokedCalls(this WebApplication app)
    {
        var calls = app.Services.GetRequiredService<RevokedCalls>();
        app.Use(calls.InvokeAsync);
    }
}
