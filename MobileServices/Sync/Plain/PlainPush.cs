using System.Text.Json;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;

namespace MobileServices.Sync.Plain;

/// <summary>
/// Takes documents of clients that know nothing of revisions: each says what it changed, and whoever was faster is told back. The shape is that of RxDB's HTTP
/// replication (https://rxdb.info/replication-http.html).
/// </summary>
internal sealed class PlainPush(DatabaseStore databases, DocumentStore documents, DocumentWrites writes)
{
    private const int MostAtOnce = 1000;

    public static async Task PostAsync(HttpContext http, RequestBodies bodies, PlainPush push)
    {
        var call = SyncCall.ToWrite(http);
        var key = PlainDocument.KeyOf(call);
        using var body = await bodies.ReadAsync(call);
        if (body.Root.ValueKind is not JsonValueKind.Array || body.Root.GetArrayLength() > MostAtOnce)
        {
            throw SyncException.Bad($"The body must be a list of at most {MostAtOnce} rows.");
        }
        List<PlainRow> rows = [.. body.Root.EnumerateArray().Select(row => PlainRow.Read(row, key))];
        if (rows.GroupBy(row => row.Id, StringComparer.Ordinal).FirstOrDefault(group => group.Skip(1).Any()) is { } twice)
        {
            throw SyncException.Bad($"The document {twice.Key} is there twice. Send its last state.");
        }
        await push.AnswerAsync(call, key, rows);
    }

    private async Task AnswerAsync(SyncCall call, string key, List<PlainRow> rows)
    {
        var conflicts = new List<(string Id, StoredDocument? Current)>();
        var refused = new List<(string Id, SyncException Failure)>();
        // Who is overtaken between the look and the write looks again, and finds a conflict.
        for (var open = rows; ;)
        {
            var database = await databases.FindAsync(call);
            var found = await documents.FindAsync(database.Id, [.. open.Select(row => row.Id)], call.Aborted);
            var edits = new List<(PlainRow Row, Edit Edit)>();
            foreach (var row in open)
            {
                var current = found.GetValueOrDefault(row.Id);
                if (row.IsAlready(current))
                {
                    continue;
                }
                if (row.IsAsAssumed(current))
                {
                    edits.Add((row, row.ToEdit(current, call.Options)));
                }
                else
                {
                    conflicts.Add((row.Id, current));
                }
            }
            if (edits.Count is 0)
            {
                break;
            }
            await writes.WriteAsync(call, [.. edits.Select(one => one.Edit)]);
            foreach (var (row, edit) in edits.Where(one => one.Edit.Failure is { Status: not 409 }))
            {
                refused.Add((row.Id, edit.Failure!));
                conflicts.Add((row.Id, found.GetValueOrDefault(row.Id)));
            }
            open = [.. edits.Where(one => one.Edit.Failure is { Status: 409 }).Select(one => one.Row)];
        }
        await SendAsync(call, key, conflicts, refused);
    }

    private static async Task SendAsync(SyncCall call, string key, List<(string Id, StoredDocument? Current)> conflicts, List<(string Id, SyncException Failure)> refused)
    {
        call.Http.Response.ContentType = "application/json";
        var json = new JsonOut(call.Http.Response);
        json.Raw("{\"conflicts\":["u8);
        for (var at = 0; at < conflicts.Count; at++)
        {
            json.Raw(at > 0 ? ","u8 : ""u8);
            var (id, current) = conflicts[at];
            // What was refused and is not here is to go there too.
            PlainDocument.Write(json, key, id, current?.Deleted ?? true, current?.Body ?? "{}"u8.ToArray());
            await json.SendSomeAsync(call.Aborted);
        }
        json.Raw("],\"refused\":["u8);
        for (var at = 0; at < refused.Count; at++)
        {
            json.Raw(at > 0 ? ",{\"id\":"u8 : "{\"id\":"u8);
            json.Text(refused[at].Id);
            json.Raw(",\"error\":"u8);
            json.Text(refused[at].Failure.Error);
            json.Raw(",\"reason\":"u8);
            json.Text(refused[at].Failure.Message);
            json.Raw("}"u8);
        }
        json.Raw("]}\n"u8);
        await json.SendAsync(call.Aborted);
    }
}
