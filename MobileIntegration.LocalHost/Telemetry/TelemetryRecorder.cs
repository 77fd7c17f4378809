using System.Threading.Channels;
using Google.Protobuf;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>
/// Writes the telemetry of this run to its file, a commit twice a second, by a loop of its own: who adds telemetry never waits for it. What it gets is
/// what the memory keeps, so without secrets. The file is made when the first telemetry comes. While it cannot be written, what comes is counted as lost.
/// </summary>
internal sealed partial class TelemetryRecorder : IAsyncDisposable
{
    private const int MostAtOnce = 32_768;
    private const int MostInBlob = 4_096;
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(500);

    private readonly TimeSpan _pace;
    private readonly TelemetryRuns _runs;
    private readonly TelemetryRecording _settings;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Channel<Entry> _entries = Channel.CreateUnbounded<Entry>(new() { SingleReader = true });
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _writing;
    private TelemetryFile? _file;
    private string? _problem;
    private long _waiting;
    private long _written;
    private long _lost;

    /// <param name="pace">From one commit to the next; half a second if null.</param>
    public TelemetryRecorder(TelemetryRuns runs, TelemetryRecording settings, TimeProvider time, ILogger log, TimeSpan? pace = null)
    {
        _pace = pace ?? Pace;
        (_runs, _settings, _time, _log) = (runs, settings, time, log);
        _writing = Task.Run(WriteAsync);
    }

    /// <summary>Spans, records and points that are in the file, or were until newer ones took their room.</summary>
    public long Written => Interlocked.Read(ref _written);

    /// <summary>Those that are not.</summary>
    public long Lost => Interlocked.Read(ref _lost);

    /// <summary>Why the file cannot be written at present; null if it can.</summary>
    public string? Problem => Volatile.Read(ref _problem);

    public void Record(List<TelemetrySpan> spans) => Record(new(spans, null, null), spans.Count);

    public void Record(List<TelemetryLog> logs) => Record(new(null, logs, null), logs.Count);

    public void Record(List<MetricSample> samples) => Record(new(null, null, samples), samples.Count);

    /// <summary>Writes what still waits and notes that the run has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_entries.Writer.TryComplete())
        {
            await _stopping.CancelAsync();
            await _writing;
            _stopping.Dispose();
        }
    }

    private void Record(Entry entry, int count)
    {
        if (count > 0 && (Interlocked.Add(ref _waiting, count) > _settings.MaxWaiting || !_entries.Writer.TryWrite(entry)))
        {
            Interlocked.Add(ref _waiting, -count);
            Interlocked.Add(ref _lost, count);
        }
    }

    private async Task WriteAsync()
    {
        var full = false;
        while (await _entries.Reader.WaitToReadAsync())
        {
            if (!full)
            {
                await Task.Delay(_pace, _stopping.Token).ContinueWith(_ => { }, TaskScheduler.Default);
            }

            full = Write();
        }

        try
        {
            _file?.End(_time.GetUtcNow());
        }
        catch (Exception exception)
        {
            LogNotWritten(_runs.CurrentPath, exception.Message);
        }

        _file?.Dispose();
    }

    /// <returns>Whether there was so much that more may wait.</returns>
    private bool Write()
    {
        List<TelemetrySpan> spans = [];
        List<TelemetryLog> logs = [];
        List<MetricSample> samples = [];
        int Count() => spans.Count + logs.Count + samples.Count;
        while (Count() < MostAtOnce && _entries.Reader.TryRead(out var entry))
        {
            spans.AddRange(entry.Spans ?? []);
            logs.AddRange(entry.Logs ?? []);
            samples.AddRange(entry.Samples ?? []);
        }

        try
        {
            var blobs = Blobs(TelemetrySignals.Traces, spans, OtlpWriter.Traces)
                .Concat(Blobs(TelemetrySignals.Logs, logs, OtlpWriter.Logs))
                .Concat(Blobs(TelemetrySignals.Metrics, samples, OtlpWriter.Metrics));
            _file ??= _runs.CreateCurrent();
            _file.Write(blobs, _time.GetUtcNow(), Lost);
            Interlocked.Add(ref _written, Count());
            if (Interlocked.Exchange(ref _problem, null) is not null)
            {
                LogWrittenAgain(_runs.CurrentPath);
            }
        }
        catch (Exception exception)
        {
            // The disk is full, the folder is gone, the file is damaged: the run goes on, and the next commit tries anew.
            Interlocked.Add(ref _lost, Count());
            _file?.Dispose();
            _file = null;
            if (Interlocked.Exchange(ref _problem, exception.Message) is null)
            {
                LogNotWritten(_runs.CurrentPath, exception.Message);
            }
        }

        Interlocked.Add(ref _waiting, -Count());
        return Count() >= MostAtOnce;
    }

    private static IEnumerable<TelemetryBlob> Blobs<T>(TelemetrySignals signal, List<T> all, Func<IEnumerable<T>, IMessage> write)
    {
        foreach (var part in all.Chunk(MostInBlob))
        {
            yield return new(signal, part.Length, write(part).ToByteArray());
        }
    }

    [LoggerMessage(LogLevel.Warning, "Telemetry is kept in memory alone, as {File} cannot be written: {Problem}")]
    private partial void LogNotWritten(string file, string problem);

    [LoggerMessage(LogLevel.Information, "Telemetry is written to {File} again.")]
    private partial void LogWrittenAgain(string file);

    private readonly record struct Entry(List<TelemetrySpan>? Spans, List<TelemetryLog>? Logs, List<MetricSample>? Samples);
}
