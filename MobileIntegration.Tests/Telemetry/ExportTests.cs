using System.IO.Compression;
using System.Text;
using System.Text.Json;
using MobileIntegration.LocalHost.Telemetry;
using MobileIntegration.LocalHost.Telemetry.Otlp;
using static MobileIntegration.Tests.Telemetry.Sent;

namespace MobileIntegration.Tests.Telemetry;

public class ExportTests
{
    private const string Traces = """
        {"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[
         {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"place order","startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000"}]}]}]}
        """;

    private readonly TelemetryRuns _runs = new(null, new TelemetryLimits(), new TelemetryRecording(), TimeProvider.System);

    [Fact]
    public async Task What_is_exported_and_imported_is_the_same()
    {
        var store = New();
        store.AddEverything();
        for (var i = 100; i < 800; i++)
        {
            store.Spans(i % 2 == 0 ? "gateway" : "home", Span(i, 1, start: Noon.AddMilliseconds(i)), Span(i, 2, 1, start: Noon.AddMilliseconds(i), name: $"work {i}"));
            store.Logs(i % 2 == 0 ? "gateway" : "home", new LogRecord { TimeUnixNano = Nano(Noon), Body = new() { StringValue = $"line {i} \u2028 \"" } });
        }

        var past = await ImportAsync(await ExportAsync(store));
        Assert.Equal(Contents.Of(store), Contents.Of(past));
        Assert.True(past.IsPast);
        Assert.NotEmpty(past.Flows(TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public async Task The_files_are_OTLP_JSON()
    {
        var store = New();
        store.AddEverything();
        using var zip = new ZipArchive(new MemoryStream(await ExportAsync(store)));
        Assert.Equal(["traces.json", "logs.json", "metrics.json"], zip.Entries.Select(entry => entry.FullName));
        var traces = JsonDocument.Parse(zip.GetEntry("traces.json")!.Open()).RootElement;
        var span = traces.GetProperty("resourceSpans")[0].GetProperty("scopeSpans")[0].GetProperty("spans")[0];
        Assert.Equal("00000000000000010000000000000001", span.GetProperty("traceId").GetString());
        Assert.Equal(3, span.GetProperty("kind").GetInt32());
        Assert.Equal(JsonValueKind.String, span.GetProperty("startTimeUnixNano").ValueKind);
    }

    [Fact]
    public async Task One_resource_is_exported_alone()
    {
        var store = New();
        store.AddEverything();
        var past = await ImportAsync(await ExportAsync(store, "home"));
        Assert.Equal(["home"], past.Resources.Select(resource => resource.Name));
        Assert.Equal((1, 2), (past.Counts.Spans, past.Counts.Logs));
        Assert.Equal(4, past.Instruments().Count);
    }

    [Fact]
    public async Task Text_that_was_cut_within_a_character_can_be_exported()
    {
        var store = new TelemetryStore(new TelemetryLimits { MaxAttributeLength = 20 }, TimeProvider.System);
        store.Spans("shop", Span(1, 1, name: new string('a', 19) + "😀"));
        Assert.Equal(new string('a', 19), Assert.Single((await ImportAsync(await ExportAsync(store))).Traces(new()).Items).RootName);
    }

    [Fact]
    public async Task An_export_is_streamed()
    {
        var store = New();
        store.AddEverything();
        await using var forward = new ForwardOnly();
        await TelemetryExport.WriteAsync(store, forward, null, CancellationToken.None);
        Assert.Equal(Contents.Of(store), Contents.Of(await ImportAsync(forward.Written.ToArray())));
    }

    [Fact]
    public async Task Plain_OTLP_JSON_is_imported_also_with_a_line_a_request_and_a_byte_order_mark()
    {
        Assert.Equal("place order", Assert.Single((await ImportAsync(Encoding.UTF8.GetBytes(Traces))).Traces(new()).Items).RootName);

        var other = Traces.Replace("5b8e", "aaaa", StringComparison.Ordinal).ReplaceLineEndings("");
        var past = await ImportAsync([0xef, 0xbb, 0xbf, .. Encoding.UTF8.GetBytes(Traces.ReplaceLineEndings("") + "\n" + other + "\n")]);
        Assert.Equal(2, past.Counts.Traces);
    }

    [Fact]
    public async Task Secrets_in_what_is_imported_are_masked()
    {
        var past = await ImportAsync(Encoding.UTF8.GetBytes(Traces.Replace("place order", "login password=hunter2", StringComparison.Ordinal)));
        Assert.Equal("login password=***", Assert.Single(past.Traces(new()).Items).RootName);
    }

    [Theory]
    [InlineData("", "no telemetry")]
    [InlineData("no telemetry at all", "neither")]
    [InlineData("PK\u0003\u0004 and then nothing of a zip", "neither")]
    [InlineData("{\"resourceSpans\":[{\"scopeSpans\":", "neither")]
    [InlineData("{\"resourceSpans\":[{\"scopeSpans\":7}]}", "neither")]
    [InlineData("{\"something\":[{\"else\":1}]}", "no telemetry")]
    [InlineData("[]", "no telemetry")]
    public async Task What_is_no_telemetry_is_refused_with_a_clear_error(string text, string part)
    {
        var failure = await Assert.ThrowsAsync<TelemetryException>(() => ImportAsync(Encoding.UTF8.GetBytes(text)));
        Assert.Contains(part, failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../traces.json")]
    [InlineData("/etc/traces.json")]
    [InlineData("a\\..\\..\\traces.json")]
    [InlineData("C:\\traces.json")]
    public async Task A_zip_with_names_outside_of_it_is_refused(string name)
    {
        var failure = await Assert.ThrowsAsync<TelemetryException>(() => ImportAsync(Zip((name, Encoding.UTF8.GetBytes(Traces)))));
        Assert.Contains(name, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bombs_are_refused_before_they_fill_the_memory()
    {
        var packed = Zip(("traces.json", [.. "{\"resourceSpans\":[{\"x\":\""u8, .. Enumerable.Repeat((byte)'a', 80_000_000)]));
        Assert.InRange(packed.Length, 1, 1_000_000);
        Assert.Contains("more than 64 MB", (await Assert.ThrowsAsync<TelemetryException>(() => ImportAsync(packed))).Message, StringComparison.Ordinal);

        var deep = Encoding.UTF8.GetBytes("{\"resourceSpans\":[" + string.Concat(Enumerable.Repeat("{\"a\":[", 100_000)));
        await Assert.ThrowsAsync<TelemetryException>(() => ImportAsync(deep));

        var many = Zip([.. Enumerable.Range(0, 1_001).Select(i => ($"{i}.json", Array.Empty<byte>()))]);
        Assert.Contains("1001 files", (await Assert.ThrowsAsync<TelemetryException>(() => ImportAsync(many))).Message, StringComparison.Ordinal);
    }

    private static TelemetryStore New() => new(new TelemetryLimits(), TimeProvider.System);

    private static async Task<byte[]> ExportAsync(TelemetryStore store, string? resource = null)
    {
        using var zip = new MemoryStream();
        await TelemetryExport.WriteAsync(store, zip, resource, CancellationToken.None);
        return zip.ToArray();
    }

    private Task<TelemetryStore> ImportAsync(byte[] file) => _runs.ImportAsync(new MemoryStream(file), CancellationToken.None);

    private static byte[] Zip(params (string Name, byte[] Content)[] files)
    {
        using var packed = new MemoryStream();
        using (var zip = new ZipArchive(packed, ZipArchiveMode.Create))
        {
            foreach (var (name, content) in files)
            {
                using var entry = zip.CreateEntry(name).Open();
                entry.Write(content);
            }
        }

        return packed.ToArray();
    }

    /// <summary>As a server's answer: written asynchronously and never gone back in.</summary>
    private sealed class ForwardOnly : Stream
    {
        public MemoryStream Written { get; } = new();

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Flush() => throw new NotSupportedException();

        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            Written.WriteAsync(buffer, offset, count, cancellationToken);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => Written.WriteAsync(buffer, cancellationToken);
    }
}
