using System.Text.Json;
using MobileServices.Sync.Indexes;

namespace MobileServices.Sync.Queries;

/// <summary>How a query is answered.</summary>
/// <param name="Index">Null when all documents are looked at.</param>
/// <param name="IsSorted">The index has the order that was asked for; otherwise what was found is sorted.</param>
internal sealed record FindPlan(FieldIndex? Index, ScanRange Range, bool IsSorted, bool Descending, string? Warning)
{
    private const string NoIndex = "No matching index found, create an index to optimize query time.";

    /// <summary>
    /// An index is taken when every document that the selector hits is in it, so that the answer is the same as without. Of several, one that has the
    /// order, then the one whose fields the selector bounds best.
    /// </summary>
    /// <exception cref="SyncException">The bookmark is of an index that is not there any more.</exception>
    public static FindPlan Of(FindQuery query, List<FieldIndex> indexes)
    {
        var ranges = new SelectorRanges(query.Selector);
        if (query.Bookmark is { } bookmark)
        {
            // A page goes on as the first one began, whatever indexes came meanwhile.
            if (bookmark.Signature is not { } signature)
            {
                return new(null, new(), false, false, bookmark.Sorted is null == query.Sort.Count is 0 ? NoIndex : throw Invalid("is of a query with another `sort`."));
            }
            var begun = indexes.Where(index => index.Signature == signature && CanHave(index, ranges)).Select(index => Of(query, index, ranges, null)).FirstOrDefault(plan => query.Sort.Count is 0 || plan.IsSorted);
            return begun ?? throw Invalid("is of an index that is not there any more, or of another query. Ask without it.");
        }
        var named = indexes.Where(index => IsNamed(index, query.UseIndex)).ToList();
        var usable = named.Find(index => CanHave(index, ranges));
        var warning = query.UseIndex.Count is 0 || usable is not null ? null
            : $"{string.Join(", ", query.UseIndex)} was not used because it {(named.Count is 0 ? "is no index." : "does not have all documents that the selector may hit.")}";
        var best = (usable is not null ? named : [.. indexes.Where(index => index.Filter is null)]).Where(index => CanHave(index, ranges))
            .OrderByDescending(index => query.Sort.Count > 0 && HasOrder(index, ranges, query))
            .ThenByDescending(index => Bounded(index, ranges))
            .ThenBy(index => index.Fields.Count)
            .FirstOrDefault();
        return best is not null ? Of(query, best, ranges, warning) : new(null, new(), false, false, warning is null ? NoIndex : $"{warning}\n{NoIndex}");
    }

    private static FindPlan Of(FindQuery query, FieldIndex index, SelectorRanges ranges, string? warning)
    {
        var isSorted = query.Sort.Count > 0 && HasOrder(index, ranges, query);
        var fixedKey = new List<byte>();
        var (from, to) = (Array.Empty<byte>(), new[] { KeyCode.After });
        foreach (var path in index.Paths)
        {
            var range = ranges.Of(path)!;
            if (range.Exact is { } exact)
            {
                fixedKey.AddRange(exact);
                continue;
            }
            (from, to) = (range.From ?? from, range.To ?? to);
            break;
        }
        return new(index, new([.. fixedKey, .. from], null, [.. fixedKey, .. to]), isSorted, isSorted && query.Sort[0].Descending, warning);
    }

    private static bool CanHave(FieldIndex index, SelectorRanges ranges) => index.Paths.All(path => ranges.Of(path) is not null);

    private static bool IsNamed(FieldIndex index, List<string> named) =>
        named.Count > 0 && index.Design == MangoIndexes.DesignId(named[0]) && (named.Count is 1 || index.Name == named[1]);

    /// <summary>Fields that have one value only do not matter to an order.</summary>
    private static bool HasOrder(FieldIndex index, SelectorRanges ranges, FindQuery query)
    {
        if (query.Sort.DistinctBy(one => one.Descending).Count() > 1)
        {
            return false;
        }
        var wanted = 0;
        foreach (var path in index.Paths)
        {
            if (wanted < query.Sort.Count && path.SequenceEqual(query.Sort[wanted].Path))
            {
                wanted++;
            }
            else if (ranges.Of(path)!.Exact is null)
            {
                break;
            }
        }
        return wanted == query.Sort.Count;
    }

    /// <summary>How many fields have one value, twice, and whether the next has bounds.</summary>
    private static int Bounded(FieldIndex index, SelectorRanges ranges)
    {
        var exact = index.Paths.TakeWhile(path => ranges.Of(path)!.Exact is not null).Count();
        return (2 * exact) + (exact < index.Paths.Count && ranges.Of(index.Paths[exact])!.IsBounded ? 1 : 0);
    }

    private static SyncException Invalid(string why) => new(400, "invalid_bookmark", $"The bookmark {why}");

    public void Explain(Utf8JsonWriter json, string database, FindQuery query)
    {
        json.WriteStartObject();
        json.WriteString("dbname", database);
        json.WritePropertyName("index");
        if (Index is null)
        {
            MangoIndexes.WriteAllDocs(json);
        }
        else
        {
            Index.Write(json);
        }
        json.WritePropertyName("selector");
        query.Selector.WriteTo(json);
        json.WriteStartObject("opts");
        json.WriteStartArray("use_index");
        query.UseIndex.ForEach(json.WriteStringValue);
        json.WriteEndArray();
        json.WriteString("bookmark", query.Bookmark?.ToString() ?? "nil");
        json.WriteNumber("limit", query.Limit);
        json.WriteNumber("skip", query.Skip);
        json.WriteStartObject("sort");
        query.Sort.ForEach(one => json.WriteString(one.Field, one.Descending ? "desc" : "asc"));
        json.WriteEndObject();
        WriteFields(json, query);
        json.WriteBoolean("conflicts", query.Conflicts);
        json.WriteBoolean("update", query.Updates);
        json.WriteBoolean("execution_stats", query.Stats);
        json.WriteEndObject();
        json.WriteNumber("limit", query.Limit);
        json.WriteNumber("skip", query.Skip);
        WriteFields(json, query);
        json.WriteStartObject("mrargs");
        json.WriteBoolean("include_docs", true);
        json.WriteString("view_type", "map");
        json.WriteBoolean("reduce", false);
        json.WriteString("direction", Descending ? "rev" : "fwd");
        json.WriteBoolean("update", query.Updates);
        json.WriteEndObject();
        json.WriteBoolean("sorted_by_index", query.Sort.Count is 0 || IsSorted);
        if (query.Sql is { } sql)
        {
            json.WriteStartObject("sql");
            json.WriteString("texts", sql.Texts);
            json.WriteString("json", sql.Json);
            json.WritePropertyName("parameters");
            JsonSerializer.Serialize(json, sql.Values);
            json.WriteEndObject();
        }
        if (Warning is not null)
        {
            json.WriteString("warning", Warning);
        }
        json.WriteEndObject();
    }

    private static void WriteFields(Utf8JsonWriter json, FindQuery query)
    {
        if (query.Fields is null)
        {
            json.WriteString("fields", "all_fields");
            return;
        }
        json.WriteStartArray("fields");
        query.Fields.ForEach(json.WriteStringValue);
        json.WriteEndArray();
    }
}
