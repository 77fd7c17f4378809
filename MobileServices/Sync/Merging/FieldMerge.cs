using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using MobileServices.Sync.Queries;

namespace MobileServices.Sync.Merging;

/// <summary>
/// Merges two bodies with that of their common ancestor, field by field. What only one side changed is taken from it. The result depends on nothing but
/// the three bodies, the rules, and which of the two wins.
/// </summary>
internal static class FieldMerge
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 1100 };

    /// <returns>Null when the rules leave it to a person.</returns>
    public static byte[]? Merge(byte[] ancestor, byte[] winner, byte[] loser, MergeOptions rules)
    {
        using var before = JsonDocument.Parse(ancestor, Reading);
        using var mine = JsonDocument.Parse(winner, Reading);
        using var theirs = JsonDocument.Parse(loser, Reading);
        var (known, own, others) = (Members(before), Members(mine), Members(theirs));
        var json = new JsonOut();
        var isFirst = true;
        foreach (var (name, member) in own.Concat(others.Where(other => !own.ContainsKey(other.Key))))
        {
            var field = new Field(Find(known, name), Find(own, name), Find(others, name));
            if (!TryMerge(field, rules.Of(name), out var merged))
            {
                return null;
            }
            if (merged is null)
            {
                continue;
            }
            json.Raw(isFirst ? "{\""u8 : ",\""u8);
            isFirst = false;
            json.Raw(JsonMarshal.GetRawUtf8PropertyName(member));
            json.Raw("\":"u8);
            json.Raw(merged);
        }
        json.Raw(isFirst ? "{}"u8 : "}"u8);
        return json.Written.ToArray();
    }

    /// <returns>False when a person is to be asked. Without a value the field is gone.</returns>
    private static bool TryMerge(Field field, MergeStrategy strategy, out string? merged)
    {
        var (before, mine, theirs) = field;
        var (changed, otherChanged) = (!Same(before, mine), !Same(before, theirs));
        merged = Raw(mine);
        if (Same(mine, theirs) && strategy is not MergeStrategy.Counter)
        {
            return true;
        }
        if (strategy is MergeStrategy.Max or MergeStrategy.Min && mine is { } one && theirs is { } other)
        {
            merged = Collation.Compare(one, other) < 0 == strategy is MergeStrategy.Min ? Raw(one) : Raw(other);
            return true;
        }
        if (!otherChanged)
        {
            return true;
        }
        if (!changed)
        {
            merged = Raw(theirs);
            return true;
        }
        merged = strategy switch
        {
            MergeStrategy.Counter => Counter(field),
            MergeStrategy.SetUnion => SetUnion(field),
            MergeStrategy.Text => Text(field),
            _ => null,
        } ?? merged;
        return strategy is not MergeStrategy.Ask;
    }

    /// <returns>Null when they are no numbers.</returns>
    private static string? Counter(Field field)
    {
        if (field.Mine is not { ValueKind: JsonValueKind.Number } mine || field.Theirs is not { ValueKind: JsonValueKind.Number } theirs)
        {
            return null;
        }
        var isCounted = field.Before is { ValueKind: JsonValueKind.Number };
        if (mine.TryGetDecimal(out var one) && theirs.TryGetDecimal(out var other) && (!isCounted || field.Before!.Value.TryGetDecimal(out _)))
        {
            var begun = isCounted ? field.Before!.Value.GetDecimal() : 0;
            try
            {
                return (one - begun + other).ToString(CultureInfo.InvariantCulture);
            }
            catch (OverflowException)
            {
                // As doubles, then.
            }
        }
        var sum = mine.GetDouble() - (isCounted ? field.Before!.Value.GetDouble() : 0) + theirs.GetDouble();
        return double.IsFinite(sum) ? sum.ToString("R", CultureInfo.InvariantCulture) : null;
    }

    /// <summary>Sorted, as a set has no order of its own.</summary>
    private static string? SetUnion(Field field)
    {
        if (field.Mine is not { ValueKind: JsonValueKind.Array } mine || field.Theirs is not { ValueKind: JsonValueKind.Array } theirs)
        {
            return null;
        }
        var (one, other, before) = (SetOf(mine), SetOf(theirs), field.Before is { ValueKind: JsonValueKind.Array } array ? SetOf(array) : []);
        var all = new SortedSet<JsonElement>(one.Concat(other), Order).Where(item => (one.Contains(item) && other.Contains(item)) || !before.Contains(item));
        return $"[{string.Join(',', all.Select(item => item.GetRawText()))}]";
    }

    private static string? Text(Field field)
    {
        if (field.Mine is not { ValueKind: JsonValueKind.String } mine || field.Theirs is not { ValueKind: JsonValueKind.String } theirs)
        {
            return null;
        }
        try
        {
            var before = field.Before is { ValueKind: JsonValueKind.String } text ? text.GetString()! : "";
            return $"\"{JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(TextMerge.Merge(before, mine.GetString()!, theirs.GetString()!))}\"";
        }
        catch (InvalidOperationException)
        {
            // Half of a surrogate pair: no text that can be taken apart.
            return null;
        }
    }

    private static readonly Comparer<JsonElement> Order = Comparer<JsonElement>.Create(Collation.Compare);

    private static SortedSet<JsonElement> SetOf(JsonElement list) => new(list.EnumerateArray(), Order);

    private static bool Same(JsonElement? one, JsonElement? other) =>
        one is { } mine && other is { } theirs ? Collation.Compare(mine, theirs) is 0 : one is null && other is null;

    private static string? Raw(JsonElement? value) => value?.GetRawText();

    private static JsonElement? Find(OrderedDictionary<string, JsonProperty> members, string name) => members.TryGetValue(name, out var member) ? member.Value : null;

    private static OrderedDictionary<string, JsonProperty> Members(JsonDocument json)
    {
        var members = new OrderedDictionary<string, JsonProperty>(StringComparer.Ordinal);
        foreach (var member in json.RootElement.EnumerateObject())
        {
            members[NameOf(member)] = member;
        }
        return members;
    }

    /// <summary>One with half of a surrogate pair cannot be read, and is known by how it was written.</summary>
    private static string NameOf(JsonProperty member)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException)
        {
            return Encoding.UTF8.GetString(JsonMarshal.GetRawUtf8PropertyName(member));
        }
    }

    private readonly record struct Field(JsonElement? Before, JsonElement? Mine, JsonElement? Theirs);
}
