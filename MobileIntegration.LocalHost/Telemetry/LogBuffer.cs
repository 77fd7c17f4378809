namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>The newest log records.</summary>
internal sealed class LogBuffer(TelemetryLimits limits)
{
    private readonly Lock _lock = new();
    private readonly Queue<TelemetryLog> _logs = [];
    private long _lastId;

    public long Evicted { get; private set; }

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _logs.Count;
            }
        }
    }

    public void Add(List<TelemetryLog> logs)
    {
        lock (_lock)
        {
            foreach (var log in logs)
            {
                log.Id = ++_lastId;
                _logs.Enqueue(log);
            }

            while (_logs.Count > limits.MaxLogCount)
            {
                _logs.Dequeue();
                Evicted++;
            }
        }
    }

    public TelemetryLog[] All()
    {
        lock (_lock)
        {
            return [.. _logs];
        }
    }

    public void Clear()
    {
        lock (_lock)
        {
            _logs.Clear();
        }
    }
}
