using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>
/// Reads OTLP JSON: a zip whose <c>.json</c> files are OTLP requests, as <see cref="TelemetryExport"/> makes it, or one such file; several requests after
/// each other are taken too, as the OpenTelemetry Collector's file exporter writes them. Nothing of a zip is written to disk.
/// </summary>
public static class TelemetryImport
{
    /// <summary>The most bytes that may be sent.</summary>
    public const long MaxBytes = 256 * 1024 * 1024;

    /// <summary>The most bytes of JSON after decompression, together.</summary>
    public const long MaxJson = 2L * 1024 * 1024 * 1024;

    /// <summary>The most bytes that the telemetry of one resource in one array may have.</summary>
    public const int MaxElement = 64 * 1024 * 1024;

    private const int MostEntries = 1_000;
    private static readonly JsonReaderOptions Options = new() { AllowMultipleValues = true, MaxDepth = 256 };

    /// <summary>Adds all that is read to a store, within its limits.</summary>
    /// <exception cref="TelemetryException">It is neither, is damaged, or is too large; what came before is added.</exception>
    public static async Task ReadAsync(Stream from, TelemetryStore into, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(from);
        ArgumentNullException.ThrowIfNull(into);

        // A zip's table is at its end.
        await using var file = await CopyAsync(from, ct);
        var start = new byte[4];
        var isZip = await file.ReadAtLeastAsync(start, 4, throwOnEndOfStream: false, ct) == 4 && start.AsSpan().StartsWith("PK"u8);
        file.Position = 0;
        var budget = new Budget();
        try
        {
            if (isZip)
            {
                await ReadZipAsync(file, into, budget, ct);
            }
            else
            {
                await ReadJsonAsync(file, into, budget, ct);
            }
        }
        catch (Exception exception) when (exception is InvalidDataException or InvalidOperationException or JsonException or
            InvalidProtocolBufferException or InvalidJsonException)
        {
            throw new TelemetryException($"This is neither a zip of OTLP JSON nor OTLP JSON that can be read: {exception.Message}", exception);
        }

        if (budget.Elements == 0)
        {
            throw new TelemetryException("There is no telemetry in it: OTLP JSON has resourceSpans, resourceLogs or resourceMetrics.");
        }
    }

    private static async Task<FileStream> CopyAsync(Stream from, CancellationToken ct)
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Options = FileOptions.DeleteOnClose | FileOptions.Asynchronous,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        var file = new FileStream(Path.Combine(Path.GetTempPath(), $"telemetry-{Guid.NewGuid():n}"), options);
        try
        {
            var buffer = new byte[64 * 1024];
            int count;
            while ((count = await from.ReadAsync(buffer, ct)) > 0)
            {
                if (file.Length + count > MaxBytes)
                {
                    throw new TelemetryException($"The file is too large: {MaxBytes >> 20} MB are taken.");
                }

                await file.WriteAsync(buffer.AsMemory(0, count), ct);
            }

            file.Position = 0;
            return file;
        }
        catch
        {
            await file.DisposeAsync();
            throw;
        }
    }

    private static async Task ReadZipAsync(Stream file, TelemetryStore into, Budget budget, CancellationToken ct)
    {
        await using var zip = await ZipArchive.CreateAsync(file, ZipArchiveMode.Read, leaveOpen: true, Encoding.UTF8, ct);
        if (zip.Entries.Count > MostEntries)
        {
            throw new TelemetryException($"The zip has {zip.Entries.Count} files; {MostEntries} are taken.");
        }

        if (zip.Entries.FirstOrDefault(entry => IsOutside(entry.FullName)) is { } outside)
        {
            throw new TelemetryException($"The zip has a file named '{outside.FullName}', which is outside of it: it was not made by an export.");
        }

        foreach (var entry in zip.Entries.Where(entry => entry.FullName.EndsWith(".json", StringComparison.OrdinalIgnoreCase)))
        {
            await using var json = await entry.OpenAsync(ct);
            await ReadJsonAsync(json, into, budget, ct);
        }
    }

    private static bool IsOutside(string name) =>
        name.Split('/', '\\').Contains("..") || name.StartsWith('/') || name.StartsWith('\\') || name.Contains(':') || name.Contains('\0');

    /// <summary>Takes one resource's telemetry after the other, so that a large file need not be in memory as a whole.</summary>
    private static async Task ReadJsonAsync(Stream json, TelemetryStore into, Budget budget, CancellationToken ct)
    {
        var (buffer, filled, state, property, isFirst, isLast) = (new byte[64 * 1024], 0, new JsonReaderState(Options), "", true, false);
        while (!isLast)
        {
            if (filled == buffer.Length)
            {
                if (buffer.Length >= MaxElement)
                {
                    throw new TelemetryException($"One resource's telemetry in it has more than {MaxElement >> 20} MB: split it.");
                }

                Array.Resize(ref buffer, buffer.Length * 2);
            }

            var count = await json.ReadAsync(buffer.AsMemory(filled), ct);
            (isLast, filled) = (count == 0, filled + count);
            if ((budget.Bytes += count) > MaxJson)
            {
                throw new TelemetryException($"There is more than {MaxJson >> 30} GB of JSON in it.");
            }

            if (isFirst && filled < 3 && !isLast)
            {
                continue;
            }

            var skipped = isFirst && buffer.AsSpan(0, filled).StartsWith("\ufeff"u8) ? 3 : 0;
            isFirst = false;
            var consumed = skipped + Read(buffer.AsSpan(skipped, filled - skipped), isLast, ref state, ref property, into, budget);
            buffer.AsSpan(consumed, filled - consumed).CopyTo(buffer);
            filled -= consumed;
        }
    }

    /// <returns>How many bytes are done with.</returns>
    private static int Read(ReadOnlySpan<byte> bytes, bool isLast, ref JsonReaderState state, ref string property, TelemetryStore into, Budget budget)
    {
        var reader = new Utf8JsonReader(bytes, isLast, state);
        while (true)
        {
            var before = reader;
            if (!reader.Read())
            {
                break;
            }

            if (reader is { CurrentDepth: 1, TokenType: JsonTokenType.PropertyName })
            {
                property = reader.GetString()!;
            }
            else if (reader is { CurrentDepth: 2, TokenType: JsonTokenType.StartObject })
            {
                var start = (int)reader.TokenStartIndex;
                if (!reader.TrySkip())
                {
                    reader = before;
                    break;
                }

                Take(property, bytes[start..(int)reader.BytesConsumed], into, budget);
            }
        }

        state = reader.CurrentState;
        return (int)reader.BytesConsumed;
    }

    private static void Take(string property, ReadOnlySpan<byte> element, TelemetryStore into, Budget budget)
    {
        var request = $"{{\"{property}\":[{Encoding.UTF8.GetString(element)}]}}";
        switch (property)
        {
            case "resourceSpans": into.Add(OtlpJson.Parse<ExportTraceServiceRequest>(request).ResourceSpans); break;
            case "resourceLogs": into.Add(OtlpJson.Parse<ExportLogsServiceRequest>(request).ResourceLogs); break;
            case "resourceMetrics": into.Add(OtlpJson.Parse<ExportMetricsServiceRequest>(request).ResourceMetrics); break;
            default: return;
        }

        budget.Elements++;
    }

    private sealed class Budget
    {
        public long Bytes { get; set; }

        public int Elements { get; set; }
    }
}
