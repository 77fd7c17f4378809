using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Queries;

namespace MobileServices.Sync.Indexes;

/// <summary>What a document has in an index.</summary>
/// <param name="Key">As <see cref="KeyCode"/> writes it.</param>
/// <param name="KeyJson">The key and the value as views answer them; null in an index of fields.</param>
/// <param name="Link">The document that the value names instead of its own.</param>
internal readonly record struct IndexEntry(byte[] Key, string? KeyJson = null, string? ValueJson = null, string? Link = null);

/// <summary>Says what documents have in an index. Two with the same signature say the same.</summary>
internal abstract class IndexDefinition(string text)
{
    public string Signature { get; } = SignatureOf(text);

    public static string SignatureOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..32];

    /// <summary>For one batch, and one thread.</summary>
    /// <exception cref="SyncException">It cannot be run.</exception>
    public abstract Func<StoredDocument, IReadOnlyList<IndexEntry>> Open();
}

/// <summary>An index of fields, for <c>_find</c>: the documents that have them all, and meet its filter.</summary>
internal sealed class FieldIndex : IndexDefinition
{
    private readonly Selector.Condition? _filter;
    private readonly string[][] _paths;

    public FieldIndex(string? design, string name, IReadOnlyList<string> fields, bool descending, JsonElement? filter)
        : base($"fields {JsonSerializer.Serialize(fields)} {filter?.GetRawText()}")
    {
        Design = design;
        Name = name;
        Fields = fields;
        Descending = descending;
        Filter = filter;
        _paths = [.. fields.Select(Selector.PathOf)];
        _filter = filter is { } selector ? Selector.Read(selector) : null;
    }

    /// <summary>The id of its design document.</summary>
    public string? Design { get; }

    public string Name { get; }

    public IReadOnlyList<string> Fields { get; }

    /// <summary>As it was asked for; it is read in both directions.</summary>
    public bool Descending { get; }

    public JsonElement? Filter { get; }

    public IReadOnlyList<string[]> Paths => _paths;

    public override Func<StoredDocument, IReadOnlyList<IndexEntry>> Open() => document =>
    {
        if (document.Id.StartsWith("_design/", StringComparison.Ordinal))
        {
            return [];
        }
        using var json = document.ToJson();
        if (_filter?.Invoke(json.RootElement) is false)
        {
            return [];
        }
        var values = new JsonElement[_paths.Length];
        for (var i = 0; i < values.Length; i++)
        {
            if (Selector.At(json.RootElement, _paths[i]) is not { } value)
            {
                return [];
            }
            values[i] = value;
        }
        return [new(KeyCode.Of(values))];
    };

    /// <summary><c>{"fields": [{"name": "asc"}], ...}</c></summary>
    public void WriteDefinition(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteStartArray("fields");
        foreach (var field in Fields)
        {
            json.WriteStartObject();
            json.WriteString(field, Descending ? "desc" : "asc");
            json.WriteEndObject();
        }
        json.WriteEndArray();
        if (Filter is { } filter)
        {
            json.WritePropertyName("partial_filter_selector");
            filter.WriteTo(json);
        }
        json.WriteEndObject();
    }

    /// <summary>As <c>_index</c> and <c>_explain</c> tell it.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("ddoc", Design);
        json.WriteString("name", Name);
        json.WriteString("type", "json");
        json.WriteBoolean("partitioned", false);
        json.WritePropertyName("def");
        WriteDefinition(json);
        json.WriteEndObject();
    }
}
