using System.Text.Json;
using Jint;
using Jint.Native;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Indexes;
using MobileServices.Sync.Queries;
using MobileServices.Sync.Scripts;

namespace MobileServices.Sync.Views;

/// <summary>A view of a design document: its index, and how its rows are put together.</summary>
internal sealed record View(ViewIndex Index, string? Reduce)
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 1100 };

    /// <summary>All of a design document, in the order of their names; none when it is of another language.</summary>
    public static List<(string Name, View View)> AllOf(string design, byte[] body, SyncOptions options)
    {
        using var json = JsonDocument.Parse(body, Reading);
        var root = json.RootElement;
        if ((Collation.TryGet(root, "language", out var language) && language.ValueKind is JsonValueKind.String && language.GetString() is not "javascript")
            || !Collation.TryGet(root, "views", out var views) || views.ValueKind is not JsonValueKind.Object)
        {
            return [];
        }
        var includesDesign = Collation.TryGet(root, "options", out var given) && given.ValueKind is JsonValueKind.Object && Collation.TryGet(given, "include_design", out var flag) && flag.ValueKind is JsonValueKind.True;
        var found = new List<(string, View)>();
        foreach (var view in views.EnumerateObject().Where(view => view.Value.ValueKind is JsonValueKind.Object).OrderBy(Collation.MemberOf, StringComparer.Ordinal))
        {
            if (Text(view.Value, "map") is { } map)
            {
                var name = Collation.MemberOf(view);
                found.Add((name, new(new($"The map function of {design}/{name}", map, includesDesign, options), Text(view.Value, "reduce"))));
            }
        }
        return found;
    }

    private static string? Text(JsonElement json, string name) => Collation.TryGet(json, name, out var value) && value.ValueKind is JsonValueKind.String ? value.GetString() : null;
}

/// <summary>What a map function emits of each document.</summary>
/// <param name="name">What failures call it.</param>
internal sealed class ViewIndex(string name, string map, bool includesDesign, SyncOptions options) : IndexDefinition($"map {includesDesign} {map}")
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 1100 };

    /// <summary>A row is kept as it is when it is emitted.</summary>
    private static readonly Prepared<Acornima.Ast.Script> Emitting = Engine.PrepareScript("""
        (function (map, most) {
          const stringify = JSON.stringify;
          let rows, total;
          globalThis.emit = (key, value) => {
            const row = stringify([key, value]);
            total += row.length;
            if (total <= most) { rows[rows.length] = row; }
          };
          return (doc) => { rows = []; total = 0; map(doc); return total > most ? null : rows; };
        })
        """);

    public override Func<StoredDocument, IReadOnlyList<IndexEntry>> Open()
    {
        var emit = OpenMap();
        return document => document.Id.StartsWith("_design/", StringComparison.Ordinal) && !includesDesign ? []
            : [.. emit(DesignFunctions.StoredDocument(document), document.Id).Select(Entry)];
    }

    /// <summary>The rows of a document, <c>[key, value]</c> each. One that the function throws at has none.</summary>
    /// <exception cref="SyncException">It does not compile, or goes beyond a bound.</exception>
    public Func<string, string, IReadOnlyList<string>> OpenMap()
    {
        var function = new ScriptFunction(name, map, options, Emitting);
        return (document, id) =>
        {
            JsValue rows;
            try
            {
                rows = function.Call(document);
            }
            catch (SyncException failure) when (failure.Error is not "os_process_error")
            {
                return [];
            }
            catch (SyncException failure)
            {
                throw new SyncException(failure.Status, failure.Error, $"{failure.Message} The document was {id}.");
            }
            return rows is JsArray list && list.All(row => row.IsString()) ? [.. list.Select(row => row.AsString())]
                : throw new SyncException(500, "os_process_error", $"{name} emitted more of the document {id} than an eighth of Sync:{nameof(SyncOptions.ScriptBytes)}. Change the function in its design document.");
        };
    }

    private static IndexEntry Entry(string row)
    {
        using var json = JsonDocument.Parse(row, Reading);
        var (key, value) = (json.RootElement[0], json.RootElement[1]);
        var link = value.ValueKind is JsonValueKind.Object && Collation.TryGet(value, "_id", out var id) && id.ValueKind is JsonValueKind.String ? Collation.TextOf(id) : null;
        return new(KeyCode.Of(key), key.GetRawText(), value.GetRawText(), link?.Contains('\0', StringComparison.Ordinal) is true ? null : link);
    }
}
