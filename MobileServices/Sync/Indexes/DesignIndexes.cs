using System.Text.Json;
using Microsoft.Extensions.Options;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Queries;
using MobileServices.Sync.Views;
using Npgsql;

namespace MobileServices.Sync.Indexes;

/// <summary>The indexes that the design documents of a database define.</summary>
internal sealed class DesignIndexes(NpgsqlDataSource source, IndexStore indexes, IOptions<SyncOptions> options)
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 1100 };

    /// <summary>Indexes of fields, in the order of their design documents and names.</summary>
    public async Task<List<FieldIndex>> FieldsAsync(long databaseId, CancellationToken ct) =>
        [.. (await DocumentsAsync(databaseId, ct)).SelectMany(design => FieldsOf(design.Id, design.Body))];

    /// <summary>Removes what no design document defines any more.</summary>
    public async Task TidyAsync(DatabaseKey key, DatabaseStore databases, CancellationToken ct)
    {
        if (await databases.TryFindAsync(key, ct) is { } database)
        {
            var signatures = (await DocumentsAsync(database.Id, ct)).SelectMany(design =>
                FieldsOf(design.Id, design.Body).Select(index => index.Signature).Concat(View.AllOf(design.Id, design.Body, options.Value).Select(one => one.View.Index.Signature)));
            await indexes.KeepAsync(database.Id, signatures, ct);
        }
    }

    public static List<FieldIndex> FieldsOf(string id, byte[] body)
    {
        using var json = JsonDocument.Parse(body, Reading);
        if (!Collation.TryGet(json.RootElement, "language", out var language) || language.ValueKind is not JsonValueKind.String || language.GetString() is not "query"
            || !Collation.TryGet(json.RootElement, "views", out var views) || views.ValueKind is not JsonValueKind.Object)
        {
            return [];
        }
        var found = new List<FieldIndex>();
        foreach (var view in views.EnumerateObject())
        {
            try
            {
                found.Add(FieldOf(id, view.Name, view.Value.GetProperty("map").Clone(), view.Value.TryGetProperty("options", out var options) ? options : default));
            }
            catch (Exception exception) when (exception is SyncException or InvalidOperationException or KeyNotFoundException)
            {
                // Another peer's idea of an index: a document like any other.
            }
        }
        found.Sort((one, other) => string.CompareOrdinal(one.Name, other.Name));
        return found;
    }

    private static FieldIndex FieldOf(string id, string name, JsonElement map, JsonElement options)
    {
        var definition = options.ValueKind is JsonValueKind.Object && options.TryGetProperty("def", out var def) && def.TryGetProperty("fields", out var order)
            ? order
            : map.GetProperty("fields");
        var (fields, descending) = MangoIndexes.ReadFields(definition);
        var filter = map.TryGetProperty("partial_filter_selector", out var selector) && selector.EnumerateObject().Any() ? selector : (JsonElement?)null;
        return new(id, name, fields, descending, filter);
    }

    private async Task<List<(string Id, byte[] Body)>> DocumentsAsync(long databaseId, CancellationToken ct)
    {
        await using var command = source.CreateCommand("""
            select doc_id, body from sync.document
            where db_id = $1 and doc_id >= '_design/' and doc_id < '_design0' and not deleted and position('views' in body) > 0 order by doc_id
            """);
        command.Parameters.Add(new() { Value = databaseId });
        await using var reader = await command.ExecuteReaderAsync(ct);
        var found = new List<(string, byte[])>();
        while (await reader.ReadAsync(ct))
        {
            found.Add((reader.GetString(0), reader.GetFieldValue<byte[]>(1)));
        }
        return found;
    }
}
