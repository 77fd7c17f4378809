using System.Collections.Concurrent;
using System.Threading.Channels;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <param name="Time">UTC, as the log has it.</param>
internal sealed record ConsoleLine(string Id, int Number, string Time, string Text, bool IsError, IReadOnlyList<AnsiPart> Parts);

/// <summary>The console logs of some instances as one list that grows: what is kept, by time, then each new line as it comes.</summary>
internal sealed class ConsoleFeed : IDisposable
{
    private const int MostLines = 20_000;
    private readonly ResourceLoggerService _loggers;
    private Func<string, bool> _isShown = _ => false;
    private readonly ConcurrentQueue<(string Id, LogLine Line)> _new = [];
    private readonly Channel<bool> _changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Dictionary<string, int> _lastKept = [];
    private readonly Dictionary<string, AnsiText> _colours = [];

    public ConsoleFeed(ResourceLoggerService loggers)
    {
        _loggers = loggers;
        loggers.LineAdded += Add;
    }

    public List<ConsoleLine> Lines { get; } = [];

    /// <summary>A signal whenever lines have come.</summary>
    public IAsyncEnumerable<bool> Changes(CancellationToken ct) => _changed.Reader.ReadAllAsync(ct);

    /// <summary>Begins anew with the lines that were written before.</summary>
    /// <param name="ids">The instances whose kept lines are read.</param>
    /// <param name="isShown">Whether a line of an instance belongs here, also of one that comes into being later.</param>
    public async Task BeginAsync(IEnumerable<string> ids, Func<string, bool> isShown)
    {
        _isShown = isShown;
        _new.Clear();
        _lastKept.Clear();
        _colours.Clear();
        Lines.Clear();
        foreach (var (id, line) in await KeptAsync(_loggers, ids))
        {
            _lastKept[id] = Math.Max(_lastKept.GetValueOrDefault(id), line.LineNumber);
            Append(id, line);
        }
    }

    /// <summary>The kept lines of some instances by time; lines of one instance with the same time stay in their order.</summary>
    public static async Task<IEnumerable<(string Id, LogLine Line)>> KeptAsync(ResourceLoggerService loggers, IEnumerable<string> ids)
    {
        List<(string Id, LogLine Line)> kept = [];
        foreach (var id in ids)
        {
            await foreach (var batch in loggers.GetAllAsync(id))
            {
                kept.AddRange(batch.Select(line => (id, line)));
            }
        }

        return kept.OrderBy(one => Time(one.Line), StringComparer.Ordinal);
    }

    /// <summary>Moves what has come to the list.</summary>
    public void Take()
    {
        while (_new.TryDequeue(out var next))
        {
            // A line that was written while the kept ones were read comes both ways.
            if (next.Line.LineNumber > _lastKept.GetValueOrDefault(next.Id))
            {
                Append(next.Id, next.Line);
            }
        }

        if (Lines.Count > MostLines)
        {
            Lines.RemoveRange(0, Lines.Count - MostLines);
        }
    }

    public void Dispose() => _loggers.LineAdded -= Add;

    private void Add(string id, LogLine line)
    {
        if (_isShown(id))
        {
            _new.Enqueue((id, line));
            _changed.Writer.TryWrite(true);
        }
    }

    private static string Time(LogLine line) => line.Content[..line.Content.IndexOf(' ', StringComparison.Ordinal)];

    private void Append(string id, LogLine line)
    {
        if (!_colours.TryGetValue(id, out var colours))
        {
            _colours[id] = colours = new AnsiText();
        }

        var time = Time(line);
        foreach (var text in SecretMask.Clean(line.Content[(time.Length + 1)..]).Split('\n'))
        {
            var parts = colours.Read(text.TrimEnd('\r').Replace("\t", "    ", StringComparison.Ordinal));
            Lines.Add(new(id, line.LineNumber, time, string.Concat(parts.Select(part => part.Text)), line.IsErrorMessage, parts));
        }
    }
}
