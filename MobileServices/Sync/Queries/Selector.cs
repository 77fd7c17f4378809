using System.Text.Json;
using System.Text.RegularExpressions;

namespace MobileServices.Sync.Queries;

/// <summary>A Mango selector: https://docs.couchdb.org/en/stable/api/database/find.html#selector-syntax.</summary>
internal static class Selector
{
    private const int MostParts = 500;
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    /// <summary>Whether a value meets a condition; null when the field is not there.</summary>
    public delegate bool Condition(JsonElement? value);

    /// <exception cref="SyncException">It is none.</exception>
    public static Condition Read(JsonElement selector)
    {
        if (selector.ValueKind is not JsonValueKind.Object)
        {
            throw Bad("Selector must be a JSON object");
        }
        var parts = 0;
        return ReadObject(selector, ref parts);
    }

    /// <summary>The value at a path such as <c>address.city</c>; a dot in a name is written <c>\.</c>.</summary>
    public static JsonElement? At(JsonElement? value, string[] path)
    {
        foreach (var name in path)
        {
            if (value is not { ValueKind: JsonValueKind.Object } parent || !Collation.TryGet(parent, name, out var child))
            {
                return null;
            }
            value = child;
        }
        return value;
    }

    public static string[] PathOf(string field) => [.. Regex.Split(field, @"(?<!\\)\.").Select(name => name.Replace("\\.", ".", StringComparison.Ordinal))];

    private static Condition ReadObject(JsonElement json, ref int parts)
    {
        var all = new List<Condition>();
        foreach (var member in json.EnumerateObject())
        {
            if (++parts > MostParts)
            {
                throw Bad($"The selector has more than {MostParts} parts.");
            }
            if (member.Name.StartsWith('$'))
            {
                all.Add(ReadOperator(member.Name, member.Value, ref parts));
                continue;
            }
            var path = PathOf(member.Name);
            var inner = ReadValue(member.Value, ref parts);
            all.Add(value => inner(At(value, path)));
        }
        return all.Count is 1 ? all[0] : value => all.TrueForAll(one => one(value));
    }

    /// <summary>An object is conditions of the field, or of fields in it; anything else is what it must be.</summary>
    private static Condition ReadValue(JsonElement json, ref int parts)
    {
        if (json.ValueKind is JsonValueKind.Object && json.EnumerateObject().Any())
        {
            return ReadObject(json, ref parts);
        }
        var wanted = json.Clone();
        return value => value is { } there && Collation.Compare(there, wanted) is 0;
    }

    private static Condition ReadOperator(string name, JsonElement json, ref int parts)
    {
        var argument = json.Clone();
        switch (name)
        {
            case "$eq": return value => value is { } there && Collation.Compare(there, argument) is 0;
            case "$ne": return value => value is { } there && Collation.Compare(there, argument) is not 0;
            case "$lt": return value => value is { } there && Collation.Compare(there, argument) < 0;
            case "$lte": return value => value is { } there && Collation.Compare(there, argument) <= 0;
            case "$gt": return value => value is { } there && Collation.Compare(there, argument) > 0;
            case "$gte": return value => value is { } there && Collation.Compare(there, argument) >= 0;
            case "$exists":
                var exists = argument.ValueKind switch { JsonValueKind.True => true, JsonValueKind.False => false, _ => throw Bad("$exists needs true or false.") };
                return value => value is not null == exists;
            case "$type":
                var type = argument.ValueKind is JsonValueKind.String ? argument.GetString() : throw Bad("$type needs the name of a type.");
                return value => value is { } there && Collation.NameOf(there) == type;
            case "$in" or "$nin":
                var choices = List(name, argument);
                return name is "$in"
                    ? value => value is { } there && IsIn(there, choices)
                    : value => value is { } there && !IsIn(there, choices);
            case "$all":
                var needed = List(name, argument);
                return value => value is { ValueKind: JsonValueKind.Array } list && needed.TrueForAll(one => list.EnumerateArray().Any(item => Collation.Compare(item, one) is 0));
            case "$size":
                var size = argument.ValueKind is JsonValueKind.Number && argument.TryGetInt32(out var count) ? count : throw Bad("$size needs a whole number.");
                return value => value is { ValueKind: JsonValueKind.Array } list && list.GetArrayLength() == size;
            case "$mod":
                var (divisor, remainder) = List(name, argument) is [var one, var two] && one.TryGetInt64(out var first) && two.TryGetInt64(out var second) && first is not (0 or -1)
                    ? (first, second) : throw Bad("$mod needs a divisor, not 0, and a remainder.");
                return value => value is { ValueKind: JsonValueKind.Number } number && number.TryGetInt64(out var whole) && whole % divisor == remainder;
            case "$regex":
                var pattern = Pattern(argument);
                return value => value is { ValueKind: JsonValueKind.String } text && pattern.IsMatch(Collation.TextOf(text));
            case "$beginsWith":
                var start = argument.ValueKind is JsonValueKind.String ? argument.GetString()! : throw Bad("$beginsWith needs a text.");
                return value => value is { ValueKind: JsonValueKind.String } text && Collation.TextOf(text).StartsWith(start, StringComparison.Ordinal);
            case "$and" or "$or" or "$nor":
                var conditions = new List<Condition>();
                foreach (var item in List(name, argument))
                {
                    conditions.Add(ReadValue(item, ref parts));
                }
                return name switch
                {
                    "$and" => value => conditions.TrueForAll(condition => condition(value)),
                    "$or" => value => conditions.Exists(condition => condition(value)),
                    _ => value => !conditions.Exists(condition => condition(value)),
                };
            case "$not":
                var negated = ReadValue(argument, ref parts);
                return value => !negated(value);
            case "$elemMatch":
                var some = ReadValue(argument, ref parts);
                return value => value is { ValueKind: JsonValueKind.Array } list && list.EnumerateArray().Any(item => some(item));
            case "$allMatch":
                var every = ReadValue(argument, ref parts);
                return value => value is { ValueKind: JsonValueKind.Array } list && list.GetArrayLength() > 0 && list.EnumerateArray().All(item => every(item));
            case "$keyMapMatch":
                var key = ReadValue(argument, ref parts);
                return value => value is { ValueKind: JsonValueKind.Object } map && map.EnumerateObject().Any(member => key(JsonSerializer.SerializeToElement(Collation.MemberOf(member))));
            default:
                throw Bad($"Invalid operator: {name}");
        }
    }

    /// <summary>Without backtracking, so that no pattern takes longer than its text is long.</summary>
    private static Regex Pattern(JsonElement argument)
    {
        try
        {
            return argument.ValueKind is JsonValueKind.String && argument.GetString() is { Length: <= 1000 } text
                ? new Regex(text, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant, Patience)
                : throw Bad("$regex needs a pattern of at most 1000 characters.");
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            throw Bad("The pattern of $regex cannot be read; lookarounds and back references are not supported.");
        }
    }

    private static List<JsonElement> List(string name, JsonElement argument) =>
        argument.ValueKind is JsonValueKind.Array ? [.. argument.EnumerateArray()] : throw Bad($"{name} needs a list.");

    private static bool IsIn(JsonElement value, List<JsonElement> choices) =>
        choices.Exists(choice => Collation.Compare(value, choice) is 0)
        || (value.ValueKind is JsonValueKind.Array && value.EnumerateArray().Any(item => choices.Exists(choice => Collation.Compare(item, choice) is 0)));

    private static SyncException Bad(string reason) => new(400, "invalid_selector", reason);
}
