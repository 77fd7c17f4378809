using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Indexes;
using Npgsql;

namespace MobileServices.Sync.Queries;

/// <summary>
/// Documents by a selector: https://docs.couchdb.org/en/stable/api/database/find.html. Without an index that has them all, every document of the
/// database is looked at.
/// </summary>
internal sealed class Find(NpgsqlDataSource source, DatabaseStore databases, DesignIndexes designs, IndexStore indexes)
{
    private const int PageRows = 200;
    private const int NarrowedRows = 1000;
    private const int MostSorted = 20_000;

    public static async Task PostAsync(HttpContext http, Find find, RequestBodies bodies)
    {
        var call = SyncCall.ToRead(http);
        using var body = await bodies.ReadAsync(call);
        await find.AnswerAsync(call, FindQuery.Read(body.Object));
    }

    public static async Task ExplainAsync(HttpContext http, Find find, RequestBodies bodies)
    {
        var call = SyncCall.ToRead(http);
        using var body = await bodies.ReadAsync(call);
        var query = FindQuery.Read(body.Object);
        var (database, plan) = await find.PlanAsync(call, query);
        await http.Response.SendAsync(json => plan.Explain(json, database.Name, query));
    }

    private async Task<(DatabaseRow Database, FindPlan Plan)> PlanAsync(SyncCall call, FindQuery query)
    {
        var database = await databases.FindAsync(call);
        return (database, FindPlan.Of(query, await designs.FieldsAsync(database.Id, call.Aborted)));
    }

    private async Task AnswerAsync(SyncCall call, FindQuery query)
    {
        var (database, plan) = await PlanAsync(call, query);
        var answer = new Answer(call, query);
        if (plan.Index is null)
        {
            await FillAsync(answer, plan, AllAsync(database.Id, query.Bookmark?.After ?? "", answer.Narrowing, call.Aborted));
            await answer.EndAsync(plan.Warning);
            return;
        }
        await using var scan = await OpenAsync(database, plan.Index, query, call.Aborted);
        answer.Scan = scan;
        await FillAsync(answer, plan, IndexedAsync(scan, plan, query, answer.Narrowing, call.Aborted));
        await answer.EndAsync(plan.Warning);
    }

    private async Task<IndexScan> OpenAsync(DatabaseRow database, FieldIndex index, FindQuery query, CancellationToken ct)
    {
        while (true)
        {
            var row = query.Updates ? await indexes.UpToDateAsync(database, index, ct) : await indexes.OpenAsync(database.Id, index, ct);
            if (await IndexScan.OpenAsync(source, database.Id, row.Id, ct) is { } scan)
            {
                return scan;
            }
        }
    }

    private static async Task FillAsync(Answer answer, FindPlan plan, IAsyncEnumerable<(StoredDocument Document, FindBookmark Here)> documents)
    {
        var sorts = answer.Query.Sort.Count > 0 && !plan.IsSorted;
        var (sorted, bytes) = (new List<JsonElement>(), 0L);
        if (answer.Query.Limit > 0)
        {
            await foreach (var (document, here) in documents)
            {
                using var json = document.ToJson(answer.Query.Conflicts);
                if (!answer.Query.Where(json.RootElement))
                {
                    continue;
                }
                answer.Narrowing.Hit();
                if (!sorts)
                {
                    if (!await answer.AddAsync(json.RootElement, here))
                    {
                        break;
                    }
                    continue;
                }
                sorted.Add(json.RootElement.Clone());
                bytes += document.Body.Length;
                if (sorted.Count > MostSorted || bytes > answer.SortBytes)
                {
                    throw SyncException.Bad($"More than {MostSorted} documents or {answer.SortBytes} bytes of them (Sync:SortBytes) would have to be sorted. Create an index of the fields in `sort`, or ask for less of them.");
                }
            }
        }
        if (sorts)
        {
            await answer.AddSortedAsync(sorted);
        }
    }

    private async IAsyncEnumerable<(StoredDocument, FindBookmark)> AllAsync(long databaseId, string after, Narrowing narrowing, [EnumeratorCancellation] CancellationToken ct)
    {
        while (true)
        {
            var (page, isLast) = await PageAsync(databaseId, after, narrowing.Next(), ct);
            foreach (var (document, looked) in page)
            {
                after = document.Id;
                narrowing.Add(looked);
                yield return (document, new(after));
            }
            if (isLast)
            {
                yield break;
            }
        }
    }

    private static async IAsyncEnumerable<(StoredDocument, FindBookmark)> IndexedAsync(IndexScan scan, FindPlan plan, FindQuery query, Narrowing narrowing, [EnumeratorCancellation] CancellationToken ct)
    {
        var after = query.Bookmark?.Signature is null ? (ScanPosition?)null : query.Bookmark.Position;
        await foreach (var row in scan.ReadAsync(plan.Range, plan.Descending, withDocuments: true, after, narrowing, ct))
        {
            if (row.Document is { Deleted: false } document)
            {
                yield return (document, new(Signature: plan.Index!.Signature, Position: row.Position));
            }
        }
    }

    private async Task<(List<(StoredDocument Document, int Looked)> Documents, bool IsLast)> PageAsync(long databaseId, string after, Narrowed? narrowed, CancellationToken ct)
    {
        var rows = narrowed is null ? PageRows : NarrowedRows;
        await using var command = source.CreateCommand(DocumentStore.Page(
            $"select * from sync.document d where d.db_id = $1 and d.doc_id > $2 and not d.deleted and not d.doc_id like '\\_design/%' order by d.doc_id limit {rows}", "d.doc_id", narrowed));
        command.Parameters.Add(new() { Value = databaseId });
        command.Parameters.Add(new() { Value = after });
        narrowed?.AddTo(command.Parameters);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var (page, looked, count) = (new List<(StoredDocument, int)>(), 0L, 0L);
        while (await reader.ReadAsync(ct))
        {
            var n = narrowed is null ? looked + 1 : reader.GetInt64(reader.FieldCount - 2);
            page.Add((DocumentStore.Read(reader), (int)(n - looked)));
            (looked, count) = (n, reader.GetInt64(reader.FieldCount - 1));
        }
        return (page, looked == count && count < rows);
    }

    /// <summary>The answer while it is written.</summary>
    private sealed class Answer
    {
        private readonly JsonOut _json;
        private readonly SyncCall _call;
        private readonly long _began = Stopwatch.GetTimestamp();
        private long _skip;
        private long _sent;
        private FindBookmark? _here;

        public Answer(SyncCall call, FindQuery query)
        {
            (_call, Query, Narrowing, _skip, _json) = (call, query, new(query.Sql), query.Skip, new(call.Http.Response));
            call.Http.Response.ContentType = "application/json";
            _json.Raw("{\"docs\":["u8);
        }

        public FindQuery Query { get; }

        public int SortBytes => _call.Options.SortBytes;

        public Narrowing Narrowing { get; }

        /// <summary>The index that is read, if any.</summary>
        public IndexScan? Scan { get; set; }

        /// <returns>False when it has as many as it may.</returns>
        public async Task<bool> AddAsync(JsonElement document, FindBookmark here)
        {
            if (_skip-- > 0)
            {
                return true;
            }
            _here = here;
            _json.Raw(_sent++ is 0 ? "\n"u8 : ",\n"u8);
            _json.Raw(Query.Answer(document));
            await SendSomeAsync();
            return _sent < Query.Limit;
        }

        public async Task AddSortedAsync(List<JsonElement> documents)
        {
            documents.Sort(Query.Compare);
            var from = Query.Bookmark?.Sorted ?? 0;
            foreach (var document in documents.Skip((int)Math.Min(from, int.MaxValue)))
            {
                if (_sent >= Query.Limit || !await AddAsync(document, new(Sorted: from + Query.Skip + _sent + 1)))
                {
                    break;
                }
            }
        }

        public async Task EndAsync(string? warning)
        {
            _json.Raw("],\"bookmark\":"u8);
            _json.Text(_here?.ToString() ?? "nil");
            if (Query.Stats)
            {
                var stats = new { total_keys_examined = 0, total_docs_examined = Narrowing.Looked, results_returned = _sent, execution_time_ms = Stopwatch.GetElapsedTime(_began).TotalMilliseconds };
                _json.Raw($",\"execution_stats\":{JsonSerializer.Serialize(stats)}");
            }
            if (warning is not null)
            {
                _json.Raw(",\"warning\":"u8);
                _json.Text(warning);
            }
            _json.Raw("}\n"u8);
            await (Scan?.ReleaseAsync() ?? ValueTask.CompletedTask);
            await _json.SendAsync(_call.Aborted);
        }

        private ValueTask SendSomeAsync() => Scan is { } scan ? scan.SendSomeAsync(_json, _call.Aborted) : _json.SendSomeAsync(_call.Aborted);
    }
}
