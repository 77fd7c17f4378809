using System.Security.Cryptography;
using System.Text;
using Dapper;
using IntegrationServices.Connectors;
using IntegrationServices.Inventory;
using Microsoft.Extensions.Options;
using Npgsql;

namespace IntegrationServices.Changes;

/// <summary>
/// Reads the Wms's files of stock movements. A process that dies leaves a file at the line whose transaction was the last, where another goes on; who has a
/// file holds a lock of the database on its name.
/// </summary>
internal sealed class StockFiles(
    ChangeStore store, DropFolder folder, Sources sources, ChangeMetrics metrics, IOptions<ChangesOptions> options, TimeProvider time, ILogger<StockFiles> logger) : BackgroundService
{
    private const string File = "file";
    private const int LinesAtOnce = 500;
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(Math.Clamp(options.Value.SettleSeconds, 0.05, Look.TotalSeconds)), time);
        try
        {
            do
            {
                await LookAsync(stoppingToken);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException)
        {
            // This process stops; the lines that are not done are read by the next.
        }
    }

    private async Task LookAsync(CancellationToken ct)
    {
        try
        {
            folder.Make();
            foreach (var name in folder.Claim())
            {
                await ReadAsync(name, ct);
            }
            folder.Prune(TimeSpan.FromDays(options.Value.KeepDays));
            sources.Works(Wms.Name, File);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            sources.Fails(Wms.Name, File, exception.Message);
            logger.LogError(exception, "Files of the drop folder {Folder} cannot be read now", folder.Path);
        }
    }

    private async Task ReadAsync(string name, CancellationToken ct)
    {
        await using var connection = await store.Database.OpenConnectionAsync(ct);
        if (!await connection.ExecuteScalarAsync<bool>(new CommandDefinition(
            "select pg_try_advisory_lock(hashtextextended('changes:file:' || @name, 0))", new { name }, cancellationToken: ct)))
        {
            return;
        }
        try
        {
            if (folder.IsClaimed(name))
            {
                await ReadAsync(connection, name, ct);
            }
        }
        finally
        {
            if (connection.State is System.Data.ConnectionState.Open)
            {
                await connection.ExecuteAsync("select pg_advisory_unlock(hashtextextended('changes:file:' || @name, 0))", new { name });
            }
        }
    }

    private async Task ReadAsync(NpgsqlConnection connection, string name, CancellationToken ct)
    {
        await using var stream = folder.Open(name);
        var (sha256, problem) = await LookThroughAsync(stream, ct);
        var done = await connection.QuerySingleAsync<FileRow>(new CommandDefinition(
            """
            insert into changes.file (name, sha256) values (@name, @sha256) on conflict do nothing;
            select lines as Lines, ended_at is not null as IsEnded from changes.file where name = @name and sha256 = @sha256
            """,
            new { name, sha256 }, cancellationToken: ct));
        stream.Position = 0;
        var csv = new CsvText(stream, Encoding.Latin1, ';');
        if (!done.IsEnded && problem is null && await csv.ReadAsync(ct) is var header)
        {
            var (columns, wrong) = header?.Fields is { } fields ? StockLine.Header(fields) : (null, header?.Problem ?? "It is empty.");
            problem = wrong;
            if (columns is not null)
            {
                await ReadLinesAsync(connection, new(name, sha256, header!.Text, columns), csv, done.Lines, ct);
            }
        }
        if (problem is not null)
        {
            var failedName = folder.FailedName(name);
            await SetAsideAsync(connection, name, failedName, sha256, problem, ct);
            folder.Fail(name, failedName);
            return;
        }
        folder.Finish(name);
    }

    private async Task ReadLinesAsync(NpgsqlConnection connection, OpenFile file, CsvText csv, int done, CancellationToken ct)
    {
        var reports = new List<Report>();
        for (var record = await csv.ReadAsync(ct); ; record = await csv.ReadAsync(ct))
        {
            if (record is not null && record.Line > done && record.Text.Length > 0)
            {
                reports.Add(Read(file, record));
            }
            if (record is null || reports.Count == LinesAtOnce)
            {
                await using var transaction = await connection.BeginTransactionAsync(ct);
                metrics.Count(Wms.Name, File, await ChangeStore.TakeAsync(transaction, reports, ct));
                await connection.ExecuteAsync(new CommandDefinition(
                    "update changes.file set lines = greatest(lines, @line), ended_at = case when @isEnd then now() end where name = @Name and sha256 = @Sha256",
                    new { file.Name, file.Sha256, line = record?.Line ?? 0, isEnd = record is null }, transaction, cancellationToken: ct));
                await transaction.CommitAsync(ct);
                reports.Clear();
            }
            if (record is null)
            {
                return;
            }
        }
    }

    private static Report Read(OpenFile file, CsvRecord record)
    {
        var reference = $"{file.Name} line {record.Line}";
        var content = $"{file.Header}\r\n{record.Text}";
        if (record.Fields is not { } fields)
        {
            return Report.SetAside(Wms.Name, "line", reference, content, record.Problem!);
        }
        try
        {
            return new(Wms.Name, "line", reference, content, StockLine.Read(file.Columns, fields), null);
        }
        catch (ChangeException exception)
        {
            return Report.SetAside(Wms.Name, "line", reference, content, exception.Message);
        }
    }

    private static async Task SetAsideAsync(NpgsqlConnection connection, string name, string failedName, byte[] sha256, string problem, CancellationToken ct)
    {
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await ChangeStore.TakeAsync(transaction, [Report.SetAside(Wms.Name, File, failedName, "", problem)], ct);
        // Not kept, so that a replay reads it again.
        await connection.ExecuteAsync(new CommandDefinition(
            "delete from changes.file where name = @name and sha256 = @sha256", new { name, sha256 }, transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
    }

    /// <returns>What tells its content from others, and why it is no ISO-8859-1: any bytes could be, so the marks of other encodings are looked for.</returns>
    private static async Task<(byte[] Sha256, string? Problem)> LookThroughAsync(FileStream stream, CancellationToken ct)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var decoder = new UTF8Encoding(false, throwOnInvalidBytes: true).GetDecoder();
        var (buffer, characters) = (new byte[64 * 1024], new char[64 * 1024 + 1]);
        var (isUtf8, isAscii, isFirst) = (true, true, true);
        string? problem = null;
        for (int read; (read = await stream.ReadAsync(buffer, ct)) > 0; isFirst = false)
        {
            var part = buffer.AsSpan(0, read);
            hash.AppendData(part);
            if (isFirst && part is [0xFE, 0xFF, ..] or [0xFF, 0xFE, ..])
            {
                problem = "It is UTF-16, and must be ISO-8859-1.";
            }
            isAscii &= !part.ContainsAnyInRange((byte)0x80, (byte)0xFF);
            try
            {
                isUtf8 = isUtf8 && decoder.GetChars(part, characters, flush: false) >= 0;
            }
            catch (DecoderFallbackException)
            {
                isUtf8 = false;
            }
        }
        return (hash.GetHashAndReset(), problem ?? (isUtf8 && !isAscii ? "It is UTF-8, and must be ISO-8859-1." : null));
    }

    private sealed record OpenFile(string Name, byte[] Sha256, string Header, IReadOnlyDictionary<string, int> Columns);

    private sealed record FileRow(int Lines, bool IsEnded);
}
