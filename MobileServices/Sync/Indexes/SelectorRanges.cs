using System.Text.Json;
using MobileServices.Sync.Queries;

namespace MobileServices.Sync.Indexes;

/// <summary>Between which keys a field is in all documents that a selector hits, which all have it.</summary>
internal sealed record FieldRange
{
    /// <summary>The code of its only value.</summary>
    public byte[]? Exact { get; init; }

    public byte[]? From { get; init; }

    /// <summary>Below this one.</summary>
    public byte[]? To { get; init; }

    public bool IsBounded => From is not null || To is not null;

    public FieldRange And(FieldRange other) => new()
    {
        Exact = Exact ?? other.Exact,
        From = From is null || (other.From is not null && other.From.AsSpan().SequenceCompareTo(From) > 0) ? other.From : From,
        To = To is null || (other.To is not null && other.To.AsSpan().SequenceCompareTo(To) < 0) ? other.To : To,
    };
}

/// <summary>The fields that documents must have to meet a selector. It asks for more than these say, never for less.</summary>
internal sealed class SelectorRanges
{
    private readonly Dictionary<string, FieldRange> _fields = new(StringComparer.Ordinal);

    public SelectorRanges(JsonElement selector) => Read(selector, []);

    public FieldRange? Of(string[] path) => _fields.GetValueOrDefault(NameOf(path));

    private static string NameOf(IEnumerable<string> path) => string.Join('\0', path);

    private void Read(JsonElement json, string[] path)
    {
        if (json.ValueKind is not JsonValueKind.Object || !json.EnumerateObject().Any())
        {
            Add(path, Equal(json));
            return;
        }
        foreach (var member in json.EnumerateObject())
        {
            if (!member.Name.StartsWith('$'))
            {
                Read(member.Value, [.. path, .. Selector.PathOf(member.Name)]);
            }
            else if (member.Name is "$and")
            {
                foreach (var item in member.Value.EnumerateArray())
                {
                    Read(item, path);
                }
            }
            else if (RangeOf(member.Name, member.Value) is { } range)
            {
                Add(path, range);
            }
        }
    }

    /// <summary>Null when the operator hits documents without the field too.</summary>
    private static FieldRange? RangeOf(string name, JsonElement argument) => name switch
    {
        "$eq" => Equal(argument),
        "$gt" => new() { From = [.. KeyCode.Of(argument), KeyCode.After] },
        "$gte" => new() { From = KeyCode.Of(argument) },
        "$lt" => new() { To = KeyCode.Of(argument) },
        "$lte" => new() { To = [.. KeyCode.Of(argument), KeyCode.After] },
        "$beginsWith" => new() { From = KeyCode.BeginningOf(argument.GetString()!), To = [.. KeyCode.BeginningOf(argument.GetString()!), KeyCode.After] },
        "$exists" => argument.ValueKind is JsonValueKind.True ? new() : null,
        "$not" or "$or" or "$nor" => null,
        _ => new(),
    };

    private static FieldRange Equal(JsonElement value)
    {
        var code = KeyCode.Of(value);
        return new() { Exact = code, From = code, To = [.. code, KeyCode.After] };
    }

    private void Add(string[] path, FieldRange range)
    {
        var name = NameOf(path);
        _fields[name] = _fields.TryGetValue(name, out var known) ? known.And(range) : range;
    }
}
