using System.Text.Json;

namespace MobileServices.Sync.Queries;

/// <summary>The order of JSON values: null, false, true, numbers, texts (by code units), lists, objects.</summary>
internal static class Collation
{
    /// <summary>Below what a decimal holds.</summary>
    private const double MostExact = 7e28;

    public static int Compare(JsonElement one, JsonElement other)
    {
        var order = RankOf(one.ValueKind).CompareTo(RankOf(other.ValueKind));
        return order is not 0 ? order : one.ValueKind switch
        {
            JsonValueKind.Number => Number(one, other),
            JsonValueKind.String => string.CompareOrdinal(TextOf(one), TextOf(other)),
            JsonValueKind.Array => List(one, other),
            JsonValueKind.Object => Object(one, other),
            _ => 0,
        };
    }

    /// <summary>A text with half of a surrogate pair is none that can be read; it is kept and compared as it was written.</summary>
    public static string TextOf(JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return value.GetRawText();
        }
    }

    /// <summary>The same of a member's name.</summary>
    public static string MemberOf(JsonProperty member)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException)
        {
            return member.ToString();
        }
    }

    /// <summary>A member of an object; names beside it may be such that cannot be read.</summary>
    public static bool TryGet(JsonElement json, string name, out JsonElement value)
    {
        try
        {
            return json.TryGetProperty(name, out value);
        }
        catch (InvalidOperationException) when (json.ValueKind is JsonValueKind.Object)
        {
            value = json.EnumerateObject().LastOrDefault(member => MemberOf(member) == name).Value;
            return value.ValueKind is not JsonValueKind.Undefined;
        }
    }

    public static string NameOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => "null",
        JsonValueKind.True or JsonValueKind.False => "boolean",
        JsonValueKind.Number => "number",
        JsonValueKind.String => "string",
        JsonValueKind.Array => "array",
        _ => "object",
    };

    public static int RankOf(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Null => 0,
        JsonValueKind.False => 1,
        JsonValueKind.True => 2,
        JsonValueKind.Number => 3,
        JsonValueKind.String => 4,
        JsonValueKind.Array => 5,
        _ => 6,
    };

    /// <summary>A number, and what it is above that when it has more digits than a double: compared in this order.</summary>
    public static (double Number, double Tail) NumberOf(JsonElement value)
    {
        var number = value.GetDouble();
        return Math.Abs(number) < MostExact && value.TryGetDecimal(out var exact) ? (number, (double)(exact - (decimal)number)) : (number, 0);
    }

    private static int Number(JsonElement one, JsonElement other) => NumberOf(one).CompareTo(NumberOf(other));

    private static int List(JsonElement one, JsonElement other)
    {
        foreach (var (item, otherItem) in one.EnumerateArray().Zip(other.EnumerateArray()))
        {
            if (Compare(item, otherItem) is not 0 and var order)
            {
                return order;
            }
        }
        return one.GetArrayLength().CompareTo(other.GetArrayLength());
    }

    /// <summary>Equal whatever the order of their members; otherwise by members in the order of their names.</summary>
    private static int Object(JsonElement one, JsonElement other)
    {
        var members = one.EnumerateObject().OrderBy(MemberOf, StringComparer.Ordinal).ToList();
        var others = other.EnumerateObject().OrderBy(MemberOf, StringComparer.Ordinal).ToList();
        foreach (var (member, otherMember) in members.Zip(others))
        {
            var order = string.CompareOrdinal(MemberOf(member), MemberOf(otherMember));
            order = order is not 0 ? order : Compare(member.Value, otherMember.Value);
            if (order is not 0)
            {
                return order;
            }
        }
        return members.Count.CompareTo(others.Count);
    }
}
