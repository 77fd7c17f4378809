using System.Text.Json;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Indexes;
using Npgsql;

namespace MobileServices.Sync.Views;

/// <summary>Views of design documents: https://docs.couchdb.org/en/stable/api/ddoc/views.html.</summary>
internal sealed partial class ViewEndpoints(
    NpgsqlDataSource source, DatabaseStore databases, DocumentStore documents, IndexStore indexes, DocumentJson json, IHostApplicationLifetime lifetime, ILogger<ViewEndpoints> logger)
{
    public static Task GetAsync(HttpContext http, ViewEndpoints views) => views.AnswerAsync(SyncCall.ToRead(http), default);

    public static async Task PostAsync(HttpContext http, ViewEndpoints views, RequestBodies bodies)
    {
        var call = SyncCall.ToRead(http);
        using var body = await bodies.ReadAsync(call, emptyIsObject: true);
        await views.AnswerAsync(call, body.Object);
    }

    /// <summary>How far the indexes of a design document are.</summary>
    public static Task InfoAsync(HttpContext http, ViewEndpoints views) => views.InfoAsync(SyncCall.ToRead(http));

    private async Task InfoAsync(SyncCall call)
    {
        var (database, all) = await OpenAsync(call);
        var rows = new List<IndexRow?>();
        foreach (var (_, view) in all)
        {
            rows.Add(await indexes.TryFindAsync(database.Id, view.Index.Signature, call.Aborted));
        }
        var seq = rows.Count is 0 ? database.UpdateSeq : rows.Min(row => row?.Seq ?? 0);
        await call.Http.Response.SendAsync(answer =>
        {
            answer.WriteStartObject();
            answer.WriteString("name", call.Segments[2]);
            answer.WriteStartObject("view_index");
            answer.WriteString("language", "javascript");
            answer.WriteString("signature", IndexDefinition.SignatureOf(string.Join(' ', all.Select(one => one.View.Index.Signature))));
            answer.WriteString("update_seq", database.Sequence(seq));
            answer.WriteNumber("purge_seq", rows.Count is 0 ? database.PurgeSeq : rows.Min(row => row?.PurgeSeq ?? 0));
            answer.WriteStartObject("updates_pending");
            answer.WriteNumber("total", database.UpdateSeq - seq);
            answer.WriteEndObject();
            answer.WriteStartObject("sizes");
            answer.WriteNumber("active", rows.Sum(row => row?.Bytes ?? 0));
            answer.WriteNumber("external", rows.Sum(row => row?.Bytes ?? 0));
            answer.WriteNumber("file", rows.Sum(row => row?.Bytes ?? 0));
            answer.WriteEndObject();
            answer.WriteBoolean("compact_running", false);
            answer.WriteBoolean("waiting_commit", false);
            answer.WriteEndObject();
            answer.WriteEndObject();
        });
    }

    public static async Task CleanAsync(HttpContext http, DatabaseStore databases, DesignIndexes designs)
    {
        var call = SyncCall.ToWrite(http);
        await databases.FindAsync(call);
        await designs.TidyAsync(call.Database, databases, call.Aborted);
        await http.Response.OkAsync(202);
    }

    private async Task<(DatabaseRow Database, List<(string Name, View View)> Views)> OpenAsync(SyncCall call)
    {
        var database = await databases.FindAsync(call);
        var design = await documents.FindAsync(database.Id, call.Document().Id, call.Aborted) ?? throw SyncException.Missing();
        return (database, design.Deleted ? throw SyncException.Deleted() : View.AllOf(design.Id, design.Body, call.Options));
    }

    private async Task AnswerAsync(SyncCall call, JsonElement body)
    {
        var name = call.Segments[4];
        var (database, all) = await OpenAsync(call);
        var view = all.Find(one => one.Name == name).View ?? throw new SyncException(404, "not_found", "missing_named_view");
        var query = ViewQuery.Read(call, body, view.Reduce is not null);
        await using var scan = await ScanAsync(database, view.Index, query, call.Aborted);
        call.Http.Response.ContentType = "application/json";
        var answer = new JsonOut(call.Http.Response);
        answer.Raw("{"u8);
        if (!query.Reduces)
        {
            answer.Raw($"\"total_rows\":{scan.Index.Entries},\"offset\":{Math.Min(query.Skip, scan.Index.Entries)},");
        }
        answer.Raw(query.UpdateSeq ? $"\"update_seq\":\"{database.Sequence(scan.Index.Seq)}\"," : "");
        answer.Raw("\"rows\":["u8);
        if (query.Reduces)
        {
            await new GroupedRows(scan, query, Reducer.Of($"{call.Segments[2]}/{name}", view.Reduce!, call.Options)).WriteAsync(answer, call.Aborted);
        }
        else
        {
            await RowsAsync(answer, scan, query, call.Aborted);
        }
        answer.Raw("\n]}\n"u8);
        await scan.ReleaseAsync();
        await answer.SendAsync(call.Aborted);
    }

    private async Task<IndexScan> ScanAsync(DatabaseRow database, ViewIndex index, ViewQuery query, CancellationToken ct)
    {
        if (query.Update is "lazy")
        {
            _ = Task.Run(() => UpdateAsync(database, index, lifetime.ApplicationStopping), CancellationToken.None);
        }
        while (true)
        {
            var row = query.Update is "true" ? await indexes.UpToDateAsync(database, index, ct) : await indexes.OpenAsync(database.Id, index, ct);
            if (await IndexScan.OpenAsync(source, database.Id, row.Id, ct) is { } scan)
            {
                return scan;
            }
        }
    }

    private async Task UpdateAsync(DatabaseRow database, ViewIndex index, CancellationToken ct)
    {
        try
        {
            await indexes.UpToDateAsync(database, index, ct);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            LogNotUpdated(logger, index.Signature, exception);
        }
    }

    private async Task RowsAsync(JsonOut answer, IndexScan scan, ViewQuery query, CancellationToken ct)
    {
        var (skip, left, isFirst) = (query.Skip, query.Limit, true);
        foreach (var range in query.Ranges)
        {
            if (left <= 0)
            {
                return;
            }
            await foreach (var row in scan.ReadAsync(range, query.Descending, query.IncludeDocs, ct: ct))
            {
                if (skip-- > 0)
                {
                    continue;
                }
                answer.Raw(isFirst ? "\n{\"id\":"u8 : ",\n{\"id\":"u8);
                isFirst = false;
                await RowAsync(answer, row, query, scan, ct);
                if (--left <= 0)
                {
                    return;
                }
            }
        }
    }

    private async Task RowAsync(JsonOut answer, ScanRow row, ViewQuery query, IndexScan scan, CancellationToken ct)
    {
        answer.Text(row.Position.Id);
        answer.Raw(",\"key\":"u8);
        answer.Raw(row.Key!);
        answer.Raw(",\"value\":"u8);
        answer.Raw(row.Value!);
        if (query.IncludeDocs)
        {
            answer.Raw(",\"doc\":"u8);
            if (row.Document is { Deleted: false } document)
            {
                if (query.Attachments && document.Attachments is not null)
                {
                    // Their content goes to the client as it is read.
                    await scan.ReleaseAsync();
                }
                await json.WriteAsync(answer, document, document.Winner, new(Conflicts: query.Conflicts, Attachments: query.Attachments) { EncodingInfo = query.EncodingInfo }, ct);
            }
            else
            {
                answer.Raw("null"u8);
            }
        }
        answer.Raw("}"u8);
        await scan.SendSomeAsync(answer, ct);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The view with the signature {Signature} was not brought up to date.")]
    private static partial void LogNotUpdated(ILogger logger, string signature, Exception exception);
}
