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

    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (context.User.Identity?.IsAuthenticated is not true)
        {
            await next(context);
            return;
        }
        var call = new OpenCall(context);
        _open[call] = true;
        try
        {
            // The token may have ended between its check and now.
            if (_revoked.Holds(context.User))
            {
                context.Abort();
                return;
            }
            await next(context);
        }
        finally
        {
            _open.TryRemove(call, out _);
            call.Close();
        }
    }

    private void CutRevoked()
    {
        foreach (var (call, _) in _open)
        {
            call.CutIf(_revoked);
        }
    }

    private sealed class OpenCall(HttpContext context)
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
        public void Close()
        {
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
