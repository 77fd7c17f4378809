using System.Collections.Concurrent;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace Gateway;

/// <summary>The calls of apps that are being answered, so that those of a version or device that becomes blocked can be ended.</summary>
internal sealed class AppGateCalls
{
    private readonly ConcurrentDictionary<OpenCall, bool> _open = [];

    /// <summary>Until it is disposed of, the call may be ended through its token.</summary>
    public OpenCall Add(AppCall call, CancellationToken aborted)
    {
        var open = new OpenCall(this, call, aborted);
        _open[open] = true;
        return open;
    }

    /// <summary>Ends what is blocked by now.</summary>
    public void Judge(AppDecisions? decisions, DateTimeOffset now)
    {
        if (decisions is null)
        {
            return;
        }
        foreach (var (open, _) in _open)
        {
            if (decisions.Decide(open.Call, now) is { Action: AppAction.Block } decision)
            {
                open.End(decision);
            }
        }
    }

    internal sealed class OpenCall(AppGateCalls calls, AppCall call, CancellationToken aborted) : IDisposable
    {
        private readonly CancellationTokenSource _ended = CancellationTokenSource.CreateLinkedTokenSource(aborted);

        public AppCall Call => call;

        public CancellationToken Ended => _ended.Token;

        /// <summary>Why it was ended; null while it was not.</summary>
        public AppDecision? Decision { get; private set; }

        public void End(AppDecision decision)
        {
            if (calls._open.TryRemove(this, out _))
            {
                Decision = decision;
                // Not on this thread: what hangs on the token is the call's own business.
                _ = _ended.CancelAsync();
            }
        }

        public void Dispose()
        {
            // Whoever removed it may be about to cancel, and then it is left to the collector.
            if (calls._open.TryRemove(this, out _))
            {
                _ended.Dispose();
            }
        }
    }
}
