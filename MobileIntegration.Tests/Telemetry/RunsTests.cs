using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.Telemetry;
using MobileIntegration.LocalHost.Telemetry.Otlp;
using MobileIntegration.Tests.LocalHost.Running;
using static MobileIntegration.Tests.Telemetry.Sent;
using Kind = MobileIntegration.LocalHost.Telemetry.Otlp.Span.Types.SpanKind;

namespace MobileIntegration.Tests.Telemetry;

/// <summary>The telemetry of runs, in files.</summary>
public sealed class RunsTests : IAsyncLifetime, ILogger
{
    private static readonly TimeSpan Patience = TelemetryHost.Patience;
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"telemetry-{Guid.CreateVersion7():n}");
    private readonly TelemetryLimits _limits = new();
    private readonly TelemetryRecording _settings = new();
    private readonly List<TelemetryRecorder> _recorders = [];
    private readonly List<string> _logged = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var recorder in _recorders)
        {
            await recorder.DisposeAsync();
        }

        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    [Fact]
    public async Task What_was_in_memory_is_there_again_in_the_next_run()
    {
        var (store, recorder, runs) = Start();
        store.AddEverything();
        await recorder.DisposeAsync();

        var next = Start().Runs;
        var run = Assert.Single(next.List(), run => !run.IsCurrent);
        Assert.Equal((runs.CurrentId, 4L, 3L, 0L), (run.Id, run.Spans, run.Logs, run.Unrecorded));
        Assert.NotNull(run.Ended);
        var past = next.Open(run.Id);
        Assert.True(past.IsPast);
        Assert.Equal(Contents.Of(store), Contents.Of(past));
        Assert.Same(past, next.Open(run.Id));
    }

    [Fact]
    public async Task The_file_of_a_run_that_is_killed_can_be_read_as_it_is()
    {
        var (store, recorder, runs) = Start();
        store.AddEverything();
        await WrittenAsync(recorder, 4);
        var copy = _folder + "/copy";
        Directory.CreateDirectory(copy);
        foreach (var file in Directory.EnumerateFiles(_folder))
        {
            File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        }

        // The write-ahead log holds all of it: nothing but a commit had happened.
        Assert.Contains(Directory.EnumerateFiles(copy), file => file.EndsWith("-wal", StringComparison.Ordinal));
        var past = new TelemetryRuns(copy, _limits, _settings, TimeProvider.System);
        Assert.NotNull(Assert.Single(past.List()).Ended);
        Assert.Equal(Contents.Of(store), Contents.Of(past.Open(runs.CurrentId)));
    }

    [Fact]
    public async Task What_an_AppHost_received_is_there_after_it_was_killed()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        var port = ((IPEndPoint)probe.LocalEndpoint).Port;
        probe.Stop();
        var appHost = new AppHostProcess(_folder, ["--only", "redis", $"Ports:otlp-http={port}", "AppHost:OtlpApiKey=key"]);
        try
        {
            await appHost.WaitForLineAsync("resources are healthy", TimeSpan.FromSeconds(90));
            await SendAsync(port, "place order");
            var runs = new TelemetryRuns(Path.Combine(_folder, "telemetry"), _limits, _settings, TimeProvider.System);
            await Eventually.TrueAsync(() => runs.List() is [{ Spans: 1 }], Patience);
            appHost.Kill();
            await appHost.Exited.WaitAsync(Patience);

            var past = runs.Open(Assert.Single(runs.List()).Id);
            Assert.Equal("place order", Assert.Single(past.Traces(new()).Items).RootName);
        }
        finally
        {
            appHost.Kill();
            await appHost.Exited.WaitAsync(Patience);
        }
    }

    [Fact]
    public async Task Flows_and_charts_of_a_past_run_are_those_of_its_end()
    {
        var (store, recorder, runs) = Start();
        var now = DateTimeOffset.UtcNow;
        store.Spans("gateway", Span(1, 1, kind: Kind.Server, start: now), Span(1, 2, 1, Kind.Client, start: now));
        store.Spans("home", Span(1, 3, 2, Kind.Server, start: now));
        store.Spans("home", Span(1, 4, 3, Kind.Client, start: now, attributes: Text("server.address", "crm")));
        store.Metrics("home", new Metric { Name = "level", Gauge = new() { DataPoints = { new NumberDataPoint { TimeUnixNano = Nano(now), AsDouble = 3 } } } });
        await recorder.DisposeAsync();

        var past = new TelemetryRuns(_folder, _limits, _settings, new LaterTime()).Open(runs.CurrentId);
        Assert.Equal([("", "gateway"), ("gateway", "home"), ("home", "crm")], past.Flows(TimeSpan.FromMinutes(1)).Select(flow => (flow.From, flow.To)));
        Assert.Equal(3, past.Chart(new("home", "shop", "level"))!.Combined[^1].Value);
    }

    [Fact]
    public async Task Secrets_are_not_in_the_file()
    {
        var (store, recorder, runs) = Start();
        store.Spans("shop", Span(1, 1, attributes: [Text("password", "hunter2hunter2"), Text("db", "Host=db;Password=hunter2hunter2"), Text("note", "kept as it is")]));
        store.Logs("shop", new LogRecord { Body = new() { StringValue = "Authorization: Bearer hunter2hunter2" } });
        await recorder.DisposeAsync();

        var read = new StringBuilder();
        TelemetryFile.Replay(runs.CurrentPath, (_, data) => read.Append(Encoding.UTF8.GetString(data)));
        Assert.Contains("kept as it is", read.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", read.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", Encoding.Latin1.GetString(await File.ReadAllBytesAsync(runs.CurrentPath)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_memory_would_not_hold_and_what_is_beyond_the_bytes_of_a_run_is_deleted_the_oldest_first()
    {
        (_limits.MaxLogCount, _settings.MaxRunBytes) = (50, 1_000_000);
        var (store, recorder, _) = Start(pace: TimeSpan.FromMilliseconds(1));
        for (var i = 1; i <= 40; i++)
        {
            // Random text does not get smaller, so each is a row of its own.
            var before = recorder.Written;
            store.Logs("shop", [.. Enumerable.Range(0, 10).Select(_ => new LogRecord { Body = new() { StringValue = Noise(30_000) } })]);
            store.Spans("shop", Span(i, 1, attributes: [.. Enumerable.Range(0, 10).Select(n => Text($"noise{n}", Noise(30_000)))]));
            await WrittenAsync(recorder, before + 11);
        }

        await recorder.DisposeAsync();
        var run = Assert.Single(new TelemetryRuns(_folder, _limits, _settings, TimeProvider.System).List());
        Assert.InRange(run.Logs, 1, 50);
        Assert.InRange(run.Spans, 1, 20);
        Assert.InRange(run.Bytes, 100_000, 2_000_000);
        var past = new TelemetryRuns(_folder, _limits, _settings, TimeProvider.System).Open(run.Id);
        Assert.NotNull(past.Trace(Trace(40)));
        Assert.Null(past.Trace(Trace(1)));
    }

    [Fact]
    public async Task The_last_runs_are_kept()
    {
        _settings.MaxRuns = 2;
        List<string> ids = [];
        for (var i = 0; i < 4; i++)
        {
            var (store, recorder, runs) = Start(new LaterTime { By = TimeSpan.FromMinutes(i) });
            store.Spans("shop", Span(1, 1));
            await recorder.DisposeAsync();
            ids.Add(runs.CurrentId);
        }

        var kept = new TelemetryRuns(_folder, _limits, _settings, TimeProvider.System);
        Assert.Equal([ids[3], ids[2]], kept.List().Select(run => run.Id));
        var failure = Assert.Throws<TelemetryException>(() => kept.Open(ids[0]));
        Assert.Contains(ids[0], failure.Message, StringComparison.Ordinal);
        Assert.Throws<TelemetryException>(() => kept.Open("../" + ids[3]));
    }

    [Fact]
    public async Task What_comes_faster_than_it_can_be_written_is_counted_and_stays_in_memory()
    {
        _settings.MaxWaiting = 100;
        var (store, recorder, _) = Start();
        store.Spans("shop", [.. Enumerable.Range(1, 60).Select(id => Span(1, id))]);
        store.Spans("shop", [.. Enumerable.Range(61, 60).Select(id => Span(1, id))]);
        Assert.Equal((120, 60L), (store.Counts.Spans, store.Counts.Unrecorded));
        await WrittenAsync(recorder, 60);
        store.Spans("shop", Span(2, 1));
        await WrittenAsync(recorder, 61);
        Assert.Equal(60, store.Counts.Unrecorded);
    }

    [Fact]
    public async Task A_folder_that_cannot_be_written_is_told_once_and_telemetry_goes_on_in_memory_until_it_can()
    {
        await File.WriteAllTextAsync(_folder, "not a folder");
        var (store, recorder, runs) = Start();
        store.Spans("shop", Span(1, 1));
        await Eventually.TrueAsync(() => recorder.Problem is not null, Patience);
        store.Spans("shop", Span(2, 1));
        await Eventually.TrueAsync(() => recorder.Lost == 2, Patience);
        Assert.Equal((2, 2L), (store.Counts.Spans, store.Counts.Unrecorded));
        Assert.Contains(runs.CurrentPath, Assert.Single(_logged), StringComparison.Ordinal);

        File.Delete(_folder);
        store.Spans("shop", Span(3, 1));
        await WrittenAsync(recorder, 1);
        await recorder.DisposeAsync();
        Assert.Null(recorder.Problem);
        Assert.Equal((1L, 2L), Assert.Single(new TelemetryRuns(_folder, _limits, _settings, TimeProvider.System).List()) is var run ? (run.Spans, run.Unrecorded) : default);
    }

    [MountFact]
    public async Task A_full_disk_costs_no_more_than_what_it_has_no_room_for()
    {
        Directory.CreateDirectory(_folder);
        using var mounted = Process.Start("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", _folder]);
        await mounted.WaitForExitAsync();
        Assert.Equal(0, mounted.ExitCode);
        try
        {
            var (store, recorder, runs) = Start(pace: TimeSpan.FromMilliseconds(1));
            store.Spans("shop", Span(1, 1, name: "has room"));
            await WrittenAsync(recorder, 1);
            store.Logs("shop", [.. Enumerable.Range(0, 50).Select(_ => new LogRecord { Body = new() { StringValue = Noise(30_000) } })]);
            await Eventually.TrueAsync(() => recorder.Lost == 50, Patience);
            await Eventually.TrueAsync(() => _logged.Count > 0, Patience);
            Assert.Contains("full", Assert.Single(_logged), StringComparison.Ordinal);

            store.Spans("shop", Span(2, 1, name: "has room too"));
            await WrittenAsync(recorder, 2);
            await recorder.DisposeAsync();
            var past = new TelemetryRuns(_folder, _limits, _settings, TimeProvider.System).Open(runs.CurrentId);
            Assert.Equal((2, 0), (past.Counts.Spans, past.Counts.Logs));
        }
        finally
        {
            using var unmounted = Process.Start("umount", [_folder]);
            await unmounted.WaitForExitAsync();
        }
    }

    [Fact]
    public async Task A_file_that_is_damaged_is_listed_with_its_problem_and_hinders_no_other()
    {
        var (store, recorder, _) = Start();
        store.Spans("shop", Span(1, 1));
        await recorder.DisposeAsync();
        await File.WriteAllBytesAsync(Path.Combine(_folder, "20200101-000000-0000.db"), Encoding.UTF8.GetBytes(Noise(10_000)));

        var runs = new TelemetryRuns(_folder, _limits, _settings, TimeProvider.System);
        var list = runs.List();
        Assert.Equal([null, true], list.Select(run => run.Problem?.Contains("cannot be read", StringComparison.Ordinal)));
        Assert.Throws<TelemetryException>(() => runs.Open(list[1].Id));
    }

    [Fact]
    public async Task Telemetry_that_is_received_is_recorded_and_none_is_where_it_is_switched_off()
    {
        await using (var host = await TelemetryHost.StartAsync(_folder, ("Dashboard:TelemetryRecording:MaxRuns", "0")))
        {
            host.Store.Spans("shop", Span(1, 1));
            Assert.Equal(1, Assert.Single(host.Runs.List()).Spans);
        }

        Assert.False(Directory.Exists(_folder));
        await using (var host = await TelemetryHost.StartAsync())
        {
            host.Store.Spans("shop", Span(1, 1));
            Assert.Equal(0, Assert.Single(host.Runs.List()).Bytes);
        }

        await using (var host = await TelemetryHost.StartAsync(_folder))
        {
            host.Store.Spans("shop", Span(1, 1));
            Assert.Same(host.Store, host.Runs.Open(host.Runs.CurrentId));
        }

        Assert.Equal(1, Assert.Single(new TelemetryRuns(_folder, _limits, _settings, TimeProvider.System).List()).Spans);
    }

    IDisposable? ILogger.BeginScope<TState>(TState state) => null;

    bool ILogger.IsEnabled(LogLevel logLevel) => true;

    void ILogger.Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (logLevel >= LogLevel.Warning)
        {
            _logged.Add(formatter(state, exception));
        }
    }

    private (TelemetryStore Store, TelemetryRecorder Recorder, TelemetryRuns Runs) Start(TimeProvider? time = null, TimeSpan? pace = null)
    {
        var runs = new TelemetryRuns(_folder, _limits, _settings, time ?? TimeProvider.System);
        var recorder = new TelemetryRecorder(runs, _settings, time ?? TimeProvider.System, this, pace);
        _recorders.Add(recorder);
        var store = new TelemetryStore(_limits, time ?? TimeProvider.System) { Recorder = recorder };
        runs.Current = store;
        return (store, recorder, runs);
    }

    private static async Task WrittenAsync(TelemetryRecorder recorder, long atLeast) =>
        await Eventually.TrueAsync(() => recorder.Written >= atLeast, Patience);

    private static string Noise(int length) => new(Random.Shared.GetItems<char>("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", length));

    private static async Task SendAsync(int port, string name)
    {
        using var client = new HttpClient();
        var request = new ExportTraceServiceRequest { ResourceSpans = { new ResourceSpans { Resource = Service("shop"), ScopeSpans = { new ScopeSpans { Spans = { Span(name.Length, 1, name: name) } } } } } };
        using var content = new ByteArrayContent(Google.Protobuf.MessageExtensions.ToByteArray(request)) { Headers = { ContentType = new MediaTypeHeaderValue("application/x-protobuf") } };
        content.Headers.Add("x-otlp-api-key", "key");
        using var answer = await client.PostAsync($"http://localhost:{port}/v1/traces", content);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    /// <summary>A small file system is made by root on Linux alone.</summary>
    private sealed class MountFactAttribute : FactAttribute
    {
        public MountFactAttribute() => Skip = OperatingSystem.IsLinux() && Environment.UserName == "root" ? null : "Only root can mount a file system.";
    }

    private sealed class LaterTime : TimeProvider
    {
        public TimeSpan By { get; init; } = TimeSpan.FromDays(1);

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UtcNow + By;
    }
}
