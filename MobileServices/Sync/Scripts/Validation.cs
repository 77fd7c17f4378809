using System.Diagnostics;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Revisions;
using Npgsql;

namespace MobileServices.Sync.Scripts;

/// <summary>The <c>validate_doc_update</c> functions of a database during a transaction: all of them must agree to a document.</summary>
internal sealed class Validation(long databaseId, string security, SyncOptions options)
{
    private readonly List<(string Name, string Source)> _sources = [];
    /// <summary>Calls of the longest time that the functions may take for one user in a transaction, which holds the database meanwhile.</summary>
    private const int LongCalls = 10;

    private readonly Dictionary<string, TimeSpan> _spent = new(StringComparer.Ordinal);
    private List<ScriptFunction>? _functions;

    public void Add(string id, byte[] body)
    {
        if (DesignFunctions.Source(body, "validate_doc_update") is { } source)
        {
            _sources.Add(($"validate_doc_update of {id}", source));
        }
    }

    /// <summary>Design documents are not asked about, as in CouchDB: so one that refuses everything can be changed.</summary>
    /// <exception cref="SyncException">It is refused, or a function fails.</exception>
    public async Task CheckAsync(NpgsqlConnection connection, OpenDocument document, Edit edit, IEnumerable<Rev> ancestors, Rev? rev, string? attachments, CancellationToken ct)
    {
        if (_sources.Count is 0 || edit.Id.StartsWith("_design/", StringComparison.Ordinal))
        {
            return;
        }
        var spent = _spent.GetValueOrDefault(edit.UserContext);
        if (spent > TimeSpan.FromMilliseconds(options.ScriptMilliseconds) * LongCalls)
        {
            throw new SyncException(500, "os_process_error", "validate_doc_update was stopped at earlier documents, or took too long for them all. Send less at a time.");
        }
        var began = Stopwatch.GetTimestamp();
        try
        {
            _functions ??= _sources.ConvertAll(one => new ScriptFunction(one.Name, one.Source, options));
            var before = await BeforeAsync(connection, document, ancestors, ct);
            var now = DesignFunctions.NewDocument(edit.Id, edit.Document, rev, attachments);
            foreach (var function in _functions)
            {
                function.Call(now, before, edit.UserContext, security);
            }
        }
        catch (SyncException failure) when (failure.Error is "os_process_error")
        {
            _functions = null;
            spent = TimeSpan.FromDays(1);
            throw;
        }
        finally
        {
            _spent[edit.UserContext] = spent + Stopwatch.GetElapsedTime(began);
        }
    }

    /// <summary>The nearest ancestor that has its body, as JSON.</summary>
    private async Task<string> BeforeAsync(NpgsqlConnection connection, OpenDocument document, IEnumerable<Rev> ancestors, CancellationToken ct)
    {
        foreach (var ancestor in ancestors.Where(document.Tree.Contains))
        {
            if (document.Fresh.TryGetValue(ancestor, out var fresh))
            {
                return DesignFunctions.NewDocument(document.Id, new() { Deleted = fresh.Deleted, Body = fresh.Body }, ancestor, fresh.Attachments);
            }
            await using var command = new NpgsqlCommand("""
                select deleted, body, attachments from sync.document where db_id = $1 and doc_id = $2 and rev = $3
                union all select deleted, body, attachments from sync.body where db_id = $1 and doc_id = $2 and rev = $3 limit 1
                """, connection);
            command.Parameters.Add(new() { Value = databaseId });
            command.Parameters.Add(new() { Value = document.Id });
            command.Parameters.Add(new() { Value = ancestor.ToString() });
            await using var reader = await command.ExecuteReaderAsync(ct);
            if (await reader.ReadAsync(ct))
            {
                return DesignFunctions.NewDocument(
                    document.Id, new() { Deleted = reader.GetBoolean(0), Body = reader.GetFieldValue<byte[]>(1) }, ancestor, reader.IsDBNull(2) ? null : reader.GetString(2));
            }
        }
        return "null";
    }
}
