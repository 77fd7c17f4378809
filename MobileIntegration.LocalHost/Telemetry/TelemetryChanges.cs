using System.Runtime.CompilerServices;

namespace MobileIntegration.LocalHost.Telemetry;

[Flags]
public enum TelemetrySignals { None = 0, Traces = 1, Logs = 2, Metrics = 4, All = 7 }

/// <summary>Tells pages that there is something new, at the pace that they want to know.</summary>
public sealed class TelemetryChanges
{
    private readonly TimeProvider _time;
    private readonly long[] _versions = new long[3];
    private TaskCompletionSource? _waiting;

    internal TelemetryChanges(TimeProvider time) => _time = time;

    /// <summary>Rises with each change of one of the signals.</summary>
    public long Version(TelemetrySignals signals)
    {
        var sum = 0L;
        for (var signal = 0; signal < _versions.Length; signal++)
        {
            sum += ((int)signals & (1 << signal)) == 0 ? 0 : Volatile.Read(ref _versions[signal]);
        }

        return sum;
    }

    /// <summary>The version, whenever it is another than <paramref name="seen"/>.</summary>
    public async Task<long> WaitAsync(TelemetrySignals signals, long seen, CancellationToken ct)
    {
        while (true)
        {
            var waiting = Volatile.Read(ref _waiting);
            if (waiting is null)
            {
                var mine = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                waiting = Interlocked.CompareExchange(ref _waiting, mine, null) ?? mine;
            }

            // Read only after the wait is set up: a change in between completes it.
            var version = Version(signals);
            if (version != seen)
            {
                return version;
            }

            await waiting.Task.WaitAsync(ct).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// A version for each change, the first one as soon as it comes and each further one at least <paramref name="interval"/> later: what comes
    /// meanwhile is one change. Ends only by cancellation.
    /// </summary>
    public async IAsyncEnumerable<long> ReadAsync(TelemetrySignals signals, TimeSpan interval, [EnumeratorCancellation] CancellationToken ct)
    {
        var seen = Version(signals);
        while (true)
        {
            seen = await WaitAsync(signals, seen, ct).ConfigureAwait(false);
            yield return seen;
            await Task.Delay(interval, _time, ct).ConfigureAwait(false);
        }
    }

    internal void Signal(TelemetrySignals signal)
    {
        Interlocked.Increment(ref _versions[System.Numerics.BitOperations.Log2((uint)signal)]);
        if (Volatile.Read(ref _waiting) is not null)
        {
            Interlocked.Exchange(ref _waiting, null)?.SetResult();
        }
    }
}
