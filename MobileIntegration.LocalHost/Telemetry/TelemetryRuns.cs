using System.Globalization;
using System.Security.Cryptography;
using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>The runs of this AppHost whose telemetry is kept, this one among them.</summary>
public sealed class TelemetryRuns
{
    private const string Extension = ".db";

    private readonly string? _folder;
    private readonly TelemetryLimits _limits;
    private readonly TelemetryRecording _settings;
    private readonly Func<string, int, string?>? _resolvePeer;
    private readonly Lock _lock = new();
    private (string Id, WeakReference<TelemetryStore> Store)? _opened;

    /// <param name="folder">Where the files are; null if there are none.</param>
    internal TelemetryRuns(
        string? folder, TelemetryLimits limits, TelemetryRecording settings, TimeProvider time, Func<string, int, string?>? resolvePeer = null)
    {
        (_folder, _limits, _settings, _resolvePeer) = (folder, limits, settings, resolvePeer);
        Started = time.GetUtcNow();
        CurrentId = Started.ToString("yyyyMMdd-HHmmss-", CultureInfo.InvariantCulture) + RandomNumberGenerator.GetHexString(4, lowercase: true);
    }

    public string CurrentId { get; }

    public DateTimeOffset Started { get; }

    /// <summary>The store of this run.</summary>
    internal TelemetryStore? Current { get; set; }

    internal string CurrentPath => PathOf(CurrentId);

    /// <summary>The newest first. Also those whose file cannot be read; <see cref="TelemetryRun.Problem"/> says why.</summary>
    public IReadOnlyList<TelemetryRun> List()
    {
        List<TelemetryRun> runs = [.. Ids().Where(id => id != CurrentId).Select(Describe)];
        var counts = Current?.Counts;
        if (counts is not null)
        {
            var bytes = _folder is null ? 0 : TelemetryFile.Length(CurrentPath);
            runs.Add(new(CurrentId, Started, null, counts.Spans, counts.Logs, counts.MetricPoints, counts.Unrecorded, bytes, IsCurrent: true));
        }

        return [.. runs.OrderByDescending(run => run.Id, StringComparer.Ordinal)];
    }

    /// <summary>Reads all that is kept of a run, unless it is the one that was opened last. Of this run, it is the store that still grows.</summary>
    /// <exception cref="TelemetryException">There is no such run, or its file cannot be read.</exception>
    public TelemetryStore Open(string id)
    {
        if (id == CurrentId && Current is not null)
        {
            return Current;
        }

        lock (_lock)
        {
            if (_opened is var (known, kept) && known == id && kept.TryGetTarget(out var store))
            {
                return store;
            }

            // Only what is in the folder is opened, so an id that comes from a page cannot be a path.
            store = Read(Ids().FirstOrDefault(one => one == id) is { } found
                ? PathOf(found)
                : throw new TelemetryException($"There is no run {id}: it may have been deleted as one of the oldest."));
            _opened = (id, new(store));
            return store;
        }
    }

    /// <summary>A store with what is in a file that <see cref="TelemetryExport"/> made, or in one with OTLP JSON; its now is the newest time in it.</summary>
    /// <inheritdoc cref="TelemetryImport.ReadAsync"/>
    public async Task<TelemetryStore> ImportAsync(Stream from, CancellationToken ct)
    {
        var time = new Ended(UnixTime.From(UnixTime.Max));
        var store = new TelemetryStore(_limits, time, _resolvePeer, isPast: true);
        await TelemetryImport.ReadAsync(from, store, ct);
        time.At = UnixTime.From(store.AllTraces().Select(trace => trace.Start + trace.Duration).Concat(store.AllLogs().Select(log => log.TimeNano))
            .Concat(store.AllSamples(_ => true).Select(sample => sample.AtNano)).DefaultIfEmpty().Max());
        return store;
    }

    /// <summary>Makes the file of this run and deletes those of the oldest ones; goes on with it if it is there.</summary>
    internal TelemetryFile CreateCurrent()
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(_folder!);
        }
        else
        {
            Directory.CreateDirectory(_folder!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        var file = new TelemetryFile(CurrentPath, Started, _limits, _settings.MaxRunBytes);
        foreach (var old in Ids().Where(id => id != CurrentId).OrderDescending(StringComparer.Ordinal).Skip(_settings.MaxRuns - 1))
        {
            TelemetryFile.Delete(PathOf(old));
        }

        return file;
    }

    private TelemetryStore Read(string path)
    {
        // A past run's now is its end, for charts and flows.
        var store = new TelemetryStore(_limits, new Ended(TelemetryFile.Describe(path).Ended!.Value), _resolvePeer, isPast: true);
        TelemetryFile.Replay(path, (signal, data) =>
        {
            _ = signal switch
            {
                TelemetrySignals.Traces => store.Add(ExportTraceServiceRequest.Parser.ParseFrom(data).ResourceSpans),
                TelemetrySignals.Logs => store.Add(ExportLogsServiceRequest.Parser.ParseFrom(data).ResourceLogs),
                TelemetrySignals.Metrics => store.Add(ExportMetricsServiceRequest.Parser.ParseFrom(data).ResourceMetrics),
                _ => throw new InvalidDataException($"There is no signal {signal}."),
            };
        });
        return store;
    }

    private TelemetryRun Describe(string id)
    {
        try
        {
            return TelemetryFile.Describe(PathOf(id));
        }
        catch (TelemetryException exception)
        {
            var file = new FileInfo(PathOf(id));
            return new(id, file.CreationTimeUtc, file.LastWriteTimeUtc, 0, 0, 0, 0, TelemetryFile.Length(PathOf(id)), IsCurrent: false, exception.Message);
        }
    }

    private IEnumerable<string> Ids() => Directory.Exists(_folder)
        ? Directory.EnumerateFiles(_folder, "*" + Extension).Select(file => Path.GetFileNameWithoutExtension(file))
        : [];

    private string PathOf(string id) => Path.Combine(_folder ?? "", id + Extension);

    private sealed class Ended(DateTimeOffset at) : TimeProvider
    {
        public DateTimeOffset At { get; set; } = at;

        public override DateTimeOffset GetUtcNow() => At;
    }
}
