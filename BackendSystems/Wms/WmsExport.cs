using System.Globalization;
using System.Text;
using CsvHelper;
using Microsoft.Extensions.Options;
using Npgsql;

namespace BackendSystems.Wms;

/// <summary>Tells others of stock movements, whoever booked them: by webhook, and by a file in the drop folder.</summary>
internal sealed class WmsExport(
    WmsStore store, [FromKeyedServices(Databases.Wms)] NpgsqlDataSource database, IOptions<WmsOptions> options, ILogger<WmsExport> log)
    : BackgroundService
{
    private static readonly CsvWriterOptions Format = new() { Separator = ';' };
    private static readonly NumberFormatInfo DecimalComma = new() { NumberDecimalSeparator = "," };
    private static readonly string[] Header = ["MV_NO", "MV_DT", "MV_TM", "WHS_CD", "WHS_NM", "ART_NO", "MV_TP", "QTY", "UNIT", "REF"];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await using var connection = await database.OpenConnectionAsync(stoppingToken);
                await using var listen = new NpgsqlCommand("listen wms_mvmt", connection);
                await listen.ExecuteNonQueryAsync(stoppingToken);
                while (true)
                {
                    await ExportAsync(stoppingToken);
                    await connection.WaitAsync(TimeSpan.FromSeconds(30), stoppingToken);
                }
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                log.LogError(exception, "Stock movements cannot be told of now");
                await Task.Delay(TimeSpan.FromSeconds(1), stoppingToken);
            }
        }
    }

    /// <summary>Tells of all that was booked until now.</summary>
    public async Task ExportAsync(CancellationToken ct)
    {
        while (await store.TellAsync(ct) > 0)
        {
        }

        if (options.Value.DropFolder is { Length: > 0 } folder)
        {
            Directory.CreateDirectory(folder);
            while (await store.DropAsync((file, movements, token) => WriteAsync(folder, file, movements, token), ct))
            {
            }
        }
    }

    /// <summary>Writes beside the final name and renames, so that nobody sees half a file.</summary>
    private static async Task WriteAsync(string folder, PromisedFile file, IReadOnlyList<Movement> movements, CancellationToken ct)
    {
        var temporary = Path.Combine(folder, $".{file.FilNm}.tmp");
        await using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None))
        {
            await using (var writer = new StreamWriter(stream, Encoding.Latin1, leaveOpen: true))
            await using (var csv = CsvWriter.Create(writer, Format, leaveOpen: true))
            {
                await WriteLineAsync(csv, Header, ct);
                foreach (var move in movements)
                {
                    await WriteLineAsync(csv,
                    [
                        move.MvNo.ToString(CultureInfo.InvariantCulture),
                        move.MvDt.ToString("00000000", CultureInfo.InvariantCulture),
                        move.MvTm.ToString("000000", CultureInfo.InvariantCulture),
                        move.WhsCd,
                        move.WhsNm,
                        move.ArtNo,
                        move.MvTp,
                        move.Qty.ToString("0.000", DecimalComma),
                        "PCE",
                        move.Ref,
                    ], ct);
                }
            }

            await stream.FlushAsync(ct);
            stream.Flush(flushToDisk: true);
        }

        File.Move(temporary, Path.Combine(folder, file.FilNm), overwrite: true);
    }

    private static Task WriteLineAsync(CsvWriter csv, string[] fields, CancellationToken ct)
    {
        foreach (var field in fields)
        {
            csv.WriteField(field);
        }

        return csv.EndRecordAsync(ct).AsTask();
    }
}
