using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using MobileServices.Sync.Indexes;

namespace MobileServices.Sync.Queries;

/// <summary>What <c>_find</c> and <c>_explain</c> are asked.</summary>
internal sealed record FindQuery
{
    private const int UsualLimit = 25;

    public required JsonElement Selector { get; init; }

    public required Selector.Condition Where { get; init; }

    /// <summary>What SQL can tell of the selector; null when that is nothing.</summary>
    public SelectorSql? Sql { get; init; }

    public List<string>? Fields { get; init; }

    public List<(string Field, string[] Path, bool Descending)> Sort { get; init; } = [];

    public long Limit { get; init; }

    public long Skip { get; init; }

    public FindBookmark? Bookmark { get; init; }

    public bool Conflicts { get; init; }

    public bool Stats { get; init; }

    /// <summary>Whether an index is brought up to date first.</summary>
    public bool Updates { get; init; } = true;

    /// <summary>The design document, and the name in it.</summary>
    public List<string> UseIndex { get; init; } = [];

    /// <exception cref="SyncException">It is no query.</exception>
    public static FindQuery Read(JsonElement json)
    {
        var selector = Member("selector") ?? throw new SyncException(400, "missing_required_key", "Missing required key: selector");
        var condition = Queries.Selector.Read(selector);
        return new()
        {
            Selector = selector.Clone(),
            Where = document => condition(document),
            Sql = SelectorSql.Of(selector),
            Fields = Member("fields") is { ValueKind: JsonValueKind.Array } names && names.GetArrayLength() > 0 ? SyncQuery.Texts(names, "fields") : null,
            Sort = Member("sort") is { ValueKind: JsonValueKind.Array } order ? [.. order.EnumerateArray().Select(SortOf)] : [],
            Limit = Number("limit", UsualLimit),
            Skip = Number("skip", 0),
            Bookmark = Member("bookmark") is { ValueKind: JsonValueKind.String } bookmark && bookmark.GetString() is { } text and not ("nil" or "") ? FindBookmark.Read(text) : null,
            Conflicts = Flag("conflicts", false),
            Stats = Flag("execution_stats", false),
            Updates = Flag("update", true),
            UseIndex = Member("use_index") switch
            {
                null or { ValueKind: JsonValueKind.Null } => [],
                { ValueKind: JsonValueKind.String } one => [one.GetString()!],
                { } list => SyncQuery.Texts(list, "use_index"),
            },
        };

        JsonElement? Member(string name) => json.TryGetProperty(name, out var value) ? value : null;

        bool Flag(string name, bool otherwise) => Member(name) switch
        {
            null or { ValueKind: JsonValueKind.Null } => otherwise,
            { ValueKind: JsonValueKind.True } => true,
            { ValueKind: JsonValueKind.False } => false,
            _ => throw SyncException.Bad($"`{name}` must be true or false."),
        };

        long Number(string name, long otherwise) => Member(name) is not { } value ? otherwise
            : value.ValueKind is JsonValueKind.Number && value.TryGetInt64(out var number) && number >= 0 ? number : throw SyncException.Bad($"`{name}` must be a whole number, not negative.");
    }

    /// <summary>In the order that was asked for, those of the same place by their ids.</summary>
    public int Compare(JsonElement one, JsonElement other)
    {
        foreach (var (_, path, descending) in Sort)
        {
            var order = (Queries.Selector.At(one, path), Queries.Selector.At(other, path)) switch
            {
                (null, null) => 0,
                (null, _) => -1,
                (_, null) => 1,
                var (value, otherValue) => Collation.Compare(value.Value, otherValue.Value),
            };
            if (order is not 0)
            {
                return descending ? -order : order;
            }
        }
        return string.CompareOrdinal(one.GetProperty("_id").GetString(), other.GetProperty("_id").GetString());
    }

    /// <summary>The document, or of it the fields that were asked for.</summary>
    public string Answer(JsonElement document)
    {
        if (Fields is null)
        {
            return document.GetRawText();
        }
        var chosen = new JsonObject();
        foreach (var path in Fields.Select(Queries.Selector.PathOf))
        {
            if (Queries.Selector.At(document, path) is not { } value)
            {
                continue;
            }
            var parent = chosen;
            foreach (var name in path[..^1])
            {
                if (parent[name] is not JsonObject child)
                {
                    parent[name] = child = [];
                }
                parent = child;
            }
            parent[path[^1]] = JsonNode.Parse(value.GetRawText());
        }
        return chosen.ToJsonString();
    }

    private static (string Field, string[] Path, bool Descending) SortOf(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.String => (json.GetString()!, Queries.Selector.PathOf(json.GetString()!), false),
        JsonValueKind.Object when json.EnumerateObject().ToList() is [{ Value.ValueKind: JsonValueKind.String } one] => (one.Name, Queries.Selector.PathOf(one.Name), one.Value.GetString() is "desc"),
        _ => throw new SyncException(400, "invalid_sort_json", "`sort` must be a list of fields, or of {\"field\": \"asc\" or \"desc\"}."),
    };
}

/// <summary>Where the next page begins.</summary>
/// <param name="After">All documents are read in the order of their ids: the last one.</param>
/// <param name="Sorted">They were sorted: how many there were.</param>
/// <param name="Signature">An index is read: which, and where.</param>
internal sealed record FindBookmark(string? After = null, long? Sorted = null, string? Signature = null, ScanPosition Position = default)
{
    public override string ToString() => Convert.ToBase64String(Encoding.UTF8.GetBytes(
        Signature is not null ? $"i{Signature} {Position.N} {Convert.ToBase64String(Position.Key)} {Position.Id}"
        : Sorted is { } count ? string.Create(CultureInfo.InvariantCulture, $"s{count}") : $"d{After}"));

    /// <exception cref="SyncException">It is none.</exception>
    public static FindBookmark Read(string bookmark)
    {
        try
        {
            var text = Encoding.UTF8.GetString(Convert.FromBase64String(bookmark));
            switch (text[0])
            {
                case 'd' when !text.Contains('\0', StringComparison.Ordinal):
                    return new(text[1..]);
                case 's':
                    return new(Sorted: long.Parse(text[1..], NumberStyles.None, CultureInfo.InvariantCulture));
                case 'i' when text[1..].Split(' ', 4) is [var signature, var n, var key, var id] && !id.Contains('\0', StringComparison.Ordinal):
                    return new(Signature: signature, Position: new(Convert.FromBase64String(key), id, int.Parse(n, NumberStyles.None, CultureInfo.InvariantCulture)));
            }
        }
        catch (Exception exception) when (exception is FormatException or OverflowException or IndexOutOfRangeException)
        {
            // As one that says nothing.
        }
        throw new SyncException(400, "invalid_bookmark", "Invalid bookmark value");
    }
}
