using System.Globalization;

namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>The console log of one instance.</summary>
internal sealed class ResourceLog
{
    private readonly Queue<LogLine> _backlog = new();
    private readonly List<Reader> _readers = [];
    private readonly Lock _lock = new();
    private int _lastNumber;
    private bool _completed;

    public bool HasReaders
    {
        get
        {
            lock (_lock)
            {
                return _readers.Count > 0;
            }
        }
    }

    public LogLine Add(string text, bool isError)
    {
        lock (_lock)
        {
            var time = DateTime.UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
            var line = new LogLine(++_lastNumber, $"{time} {text}", isError);
            _completed = false;
            _backlog.Enqueue(line);
            if (_backlog.Count > ResourceLoggerService.MaxBacklog)
            {
                _backlog.Dequeue();
            }

            foreach (var reader in _readers)
            {
                reader.OnLine(line);
            }

            return line;
        }
    }

    /// <summary>Hands over the backlog and, if it should follow a log that is not completed, whatever comes. True if it is the first reader.</summary>
    public bool Subscribe(Reader reader, bool follow)
    {
        lock (_lock)
        {
            foreach (var line in _backlog)
            {
                reader.OnLine(line);
            }

            if (!follow || _completed)
            {
                reader.OnEnd();
                return false;
            }

            _readers.Add(reader);
            return _readers.Count == 1;
        }
    }

    /// <summary>True if it was the last reader.</summary>
    public bool Unsubscribe(Reader reader)
    {
        lock (_lock)
        {
            return _readers.Remove(reader) && _readers.Count == 0;
        }
    }

    public void Complete()
    {
        lock (_lock)
        {
            _completed = true;
            foreach (var reader in _readers)
            {
                reader.OnEnd();
            }

            _readers.Clear();
        }
    }

    public void Clear()
    {
        lock (_lock)
        {
            _backlog.Clear();
        }
    }

    internal sealed record Reader(Action<LogLine> OnLine, Action OnEnd)
    {
        public bool Equals(Reader? other) => ReferenceEquals(this, other);

        public override int GetHashCode() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);
    }
}
