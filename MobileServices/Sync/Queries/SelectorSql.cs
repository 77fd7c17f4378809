using System.Globalization;
using System.Text.Json;
using MobileServices.Sync.Documents;
using Npgsql;
using NpgsqlTypes;

namespace MobileServices.Sync.Queries;

/// <summary>
/// What SQL can tell of a selector: a condition that every document meets which the selector hits, and others perhaps. What it cannot tell exactly as
/// <see cref="Selector"/> does is not said; under <c>$not</c> and its like only what is surely so counts. Names and values are parameters.
/// </summary>
internal sealed class SelectorSql
{
    /// <summary>The statements around it have two of their own.</summary>
    private const int FirstParameter = 3;

    private const int MostParameters = 200;
    private const int MostLevels = 20;
    private const int MostChoices = 50;
    private const int MostListed = 1000;
    private const double MostBounded = 1e300;
    private const long MostExact = 1_000_000_000_000_000;

    /// <summary>In the order of <see cref="Collation"/>.</summary>
    private static readonly string[] Types = ["null", "boolean", "number", "string", "array", "object"];

    private readonly List<(object Value, NpgsqlDbType Type)> _values = [];
    private int _items;

    private SelectorSql()
    {
    }

    /// <summary>Of the text of <c>d.body</c>; null when no text is asked for.</summary>
    public string? Texts { get; private set; }

    /// <summary>Of <c>d</c>, the document's row, and <c>b.json</c>, its body as <c>jsonb</c>, which may be null: then the process decides.</summary>
    public string? Json { get; private set; }

    public IEnumerable<object> Values => _values.Select(value => value.Value);

    /// <returns>Null when SQL can tell nothing.</returns>
    public static SelectorSql? Of(JsonElement selector)
    {
        var sql = new SelectorSql();
        if (new BodyTexts(selector) is { Groups.Count: > 0 } texts)
        {
            var all = string.Join(" and ", texts.Groups.Select(group => $"({string.Join(" or ", group.Select(sql.Stands))})"));
            sql.Texts = $"({all} or {sql.Stands(texts.Escape)})";
        }
        sql.Json = sql.Fields(selector, new("b.json", IsDocument: true), most: true);
        return sql.Texts is null && sql.Json is null ? null : sql;
    }

    /// <summary>Behind the two that the command has.</summary>
    public void AddTo(NpgsqlParameterCollection parameters) => _values.ForEach(value => parameters.Add(new() { Value = value.Value, NpgsqlDbType = value.Type }));

    private string Stands(string text) => $"strpos(d.body, {Give(text, NpgsqlDbType.Text)}) > 0";

    /// <summary>Where a value is: <c>jsonb</c>, null when there is none.</summary>
    /// <param name="IsDocument">The body, to which the document adds <c>_id</c> and others.</param>
    private readonly record struct Place(string Json, bool IsDocument = false)
    {
        public string Text => $"({Json} #>> '{{}}')";

        public string Is(string type) => $"jsonb_typeof({Json}) = '{type}'";
    }

    // Of all that follow: with `most` what holds of every value that is hit, otherwise what holds of none that is not. Null: it cannot be told.

    private string? Fields(JsonElement json, Place at, bool most) => All(json.EnumerateObject().Select(member =>
        member.Name.StartsWith('$') ? Operator(member.Name, member.Value, at, most)
        : Field(at, Selector.PathOf(member.Name)) is { } field ? Value(member.Value, field, most) : null), most);

    private Place? Field(Place at, string[] path)
    {
        if (path.Length > MostLevels || _values.Count > MostParameters || !path.All(IsReadable))
        {
            return null;
        }
        if (at.IsDocument && path[0].StartsWith('_'))
        {
            var column = path[0] switch { "_id" => "to_jsonb(d.doc_id)", "_rev" => "to_jsonb(d.rev)", _ => null };
            return column is null ? null : new(Under(column, path[1..]));
        }
        return new(Under(at.Json, path));
    }

    private string Under(string json, string[] path) => path.Length is 0 ? json : $"({json} -> {string.Join(" -> ", path.Select(name => Give(name, NpgsqlDbType.Text)))})";

    private string? Value(JsonElement json, Place at, bool most) =>
        json.ValueKind is JsonValueKind.Object && json.EnumerateObject().Any() ? Fields(json, at, most) : Equal(json, at, most);

    private string? Operator(string name, JsonElement argument, Place at, bool most)
    {
        switch (name)
        {
            case "$and": return All(argument.EnumerateArray().Select(item => Value(item, at, most)), most);
            case "$or": return Any(argument.EnumerateArray().Select(item => Value(item, at, most)), most);
            case "$nor": return Not(Any(argument.EnumerateArray().Select(item => Value(item, at, !most)), !most));
            case "$not": return Not(Value(argument, at, !most));
        }
        if (at.IsDocument || _values.Count > MostParameters)
        {
            return null;
        }
        var isThere = $"{at.Json} is not null";
        switch (name)
        {
            case "$eq": return Equal(argument, at, most);
            case "$ne": return All([isThere, Not(Equal(argument, at, !most))], most);
            case "$lt" or "$lte" or "$gt" or "$gte": return Range(name, argument, at, most);
            case "$exists": return argument.GetBoolean() ? isThere : $"{at.Json} is null";
            case "$type": return IsReadable(argument.GetString()!) ? $"jsonb_typeof({at.Json}) = {Give(argument.GetString()!, NpgsqlDbType.Text)}" : null;
            case "$in": return In(argument, at, most);
            case "$nin": return All([isThere, Not(In(argument, at, !most))], most);
            case "$size": return $"case when {at.Is("array")} then jsonb_array_length({at.Json}) = {Give(argument.GetInt32(), NpgsqlDbType.Integer)} end";
            case "$beginsWith":
                return IsReadable(argument.GetString()!) ? $"({at.Is("string")} and starts_with({at.Text}, {Give(argument.GetString()!, NpgsqlDbType.Text)}))" : Only("string", at, most);
            case "$all":
                var needed = argument.EnumerateArray().ToList();
                return most || needed.Count <= MostChoices
                    ? All([at.Is("array"), .. needed.Take(MostChoices).Select(one => Some(at, item => Equal(one, item, most)))], most)
                    : null;
            case "$elemMatch":
                return Some(at, item => Value(argument, item, most)) ?? Only("array", at, most);
            case "$allMatch":
                return Some(at, item => Not(Value(argument, item, most))) is { } other ? $"({at.Is("array")} and {at.Json} <> '[]' and not {other})" : Only("array", at, most);
            case "$mod": return Only("number", at, most);
            case "$regex": return Only("string", at, most);
            case "$keyMapMatch": return Only("object", at, most);
            default: return null;
        }
    }

    private static string? Only(string type, Place at, bool most) => most ? at.Is(type) : null;

    private string? Equal(JsonElement wanted, Place at, bool most)
    {
        if (at.IsDocument)
        {
            return null;
        }
        switch (wanted.ValueKind)
        {
            case JsonValueKind.Number:
                return most ? Around(wanted) is var (low, high) ? $"{at.Json} between {low} and {high}" : at.Is("number")
                    : Whole(wanted) is { } whole ? $"{at.Json} = {whole}" : null;
            case JsonValueKind.Array or JsonValueKind.Object:
                // A number in it has its neighbours, and two members of the same name are one in jsonb.
                return !most ? null : HasNumber(wanted) || wanted.GetRawText().Contains("\\u", StringComparison.OrdinalIgnoreCase) ? at.Is(Collation.NameOf(wanted))
                    : $"{at.Json} = {Give(wanted.GetRawText(), NpgsqlDbType.Jsonb)}";
            default:
                return Scalar(wanted) is { } json ? $"{at.Json} = {Give(json, NpgsqlDbType.Jsonb)}" : null;
        }
    }

    private string? In(JsonElement list, Place at, bool most)
    {
        var choices = list.EnumerateArray().ToList();
        return choices.Count > MostListed ? null : Any([OneOf(at), Some(at, OneOf)], most);

        string? OneOf(Place place)
        {
            var scalars = choices.Select(Scalar).OfType<string>().ToArray();
            var others = choices.FindAll(choice => Scalar(choice) is null);
            return others.Count > MostChoices ? null : Any(
                [.. scalars.Length > 0 ? [$"{place.Json} = any ({Give(scalars, NpgsqlDbType.Array | NpgsqlDbType.Jsonb)})"] : Array.Empty<string>(), .. others.Select(choice => Equal(choice, place, most))], most);
        }
    }

    private string? Range(string name, JsonElement bound, Place at, bool most)
    {
        var (isUp, isEqual, type) = (name is "$gt" or "$gte", name is "$lte" or "$gte", Collation.NameOf(bound));
        var rank = Array.IndexOf(Types, type);
        var beyond = isUp ? Types[(rank + 1)..] : Types[..rank];
        var same = bound.ValueKind switch
        {
            JsonValueKind.Null => isEqual ? at.Is(type) : "false",
            JsonValueKind.True or JsonValueKind.False => $"{at.Json} {Sign()} {Give(bound.GetRawText(), NpgsqlDbType.Jsonb)}",
            JsonValueKind.Number => Number(),
            // Code units and UTF-8 have the same order up to the surrogates, which are above all before them.
            JsonValueKind.String when Scalar(bound) is not null && bound.GetString()!.All(unit => unit < 0xD800) => $"{at.Text} collate \"C\" {Sign()} {Give(bound.GetString()!, NpgsqlDbType.Text)}",
            _ => null,
        };
        same = same is null ? Only(type, at, most) : $"({at.Is(type)} and {same})";
        return Any(beyond.Length is 0 ? [same] : [$"jsonb_typeof({at.Json}) in ('{string.Join("', '", beyond)}')", same], most);

        string Sign() => $"{(isUp ? ">" : "<")}{(isEqual ? "=" : "")}";

        // A number that is another in SQL may be the same here, not the other way round.
        string? Number() => most != isEqual && Whole(bound) is { } whole ? $"{at.Json} {Sign()} {whole}"
            : Around(bound) is var (low, high) ? $"{at.Json} {(isUp ? ">=" : "<=")} {(isUp == most ? low : high)}" : null;
    }

    /// <summary>What lies nearer to a number than its neighbours among doubles: all that the process may take for the same.</summary>
    private (string Low, string High)? Around(JsonElement json)
    {
        var number = json.GetDouble();
        return Math.Abs(number) > MostBounded ? null : (Near(Math.BitDecrement(number)), Near(Math.BitIncrement(number)));

        string Near(double neighbour) => Give(neighbour.ToString("R", CultureInfo.InvariantCulture), NpgsqlDbType.Jsonb);
    }

    /// <summary>Whole numbers that a double holds: whatever is that number in SQL is that number here, however it is written.</summary>
    private string? Whole(JsonElement json) =>
        json.TryGetInt64(out var number) && Math.Abs(number) <= MostExact ? Give(number.ToString(CultureInfo.InvariantCulture), NpgsqlDbType.Jsonb) : null;

    /// <summary>As jsonb takes it; null when it is none that SQL compares as the process does.</summary>
    public static string? Scalar(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.True or JsonValueKind.False => json.GetRawText(),
        JsonValueKind.String when Collation.TextOf(json) is var text && IsReadable(text) && !json.GetRawText().Contains("\\ud", StringComparison.OrdinalIgnoreCase) => JsonSerializer.Serialize(text),
        _ => null,
    };

    private static bool HasNumber(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Number => true,
        JsonValueKind.Array => json.EnumerateArray().Any(HasNumber),
        JsonValueKind.Object => json.EnumerateObject().Any(member => HasNumber(member.Value)),
        _ => false,
    };

    public static bool IsReadable(string text) => !text.Contains('\0', StringComparison.Ordinal) && !NewDocument.HasLoneSurrogate(text);

    /// <summary>Some item of a list.</summary>
    private string? Some(Place at, Func<Place, string?> condition)
    {
        if (_items >= MostLevels)
        {
            return null;
        }
        var item = $"i{++_items}";
        return condition(new($"{item}.json")) is { } holds
            ? $"exists (select from jsonb_array_elements(case when {at.Is("array")} then {at.Json} else '[]' end) as {item} (json) where {holds})" : null;
    }

    private string? All(IEnumerable<string?> parts, bool most) => Join("and", parts, needsAll: !most);

    private string? Any(IEnumerable<string?> parts, bool most) => Join("or", parts, needsAll: most);

    private static string? Not(string? condition) => condition is null ? null : $"({condition}) is not true";

    private string? Join(string word, IEnumerable<string?> parts, bool needsAll)
    {
        var (before, used, told) = (_values.Count, _values.Count, new List<string>());
        foreach (var part in parts)
        {
            if (part is not null)
            {
                told.Add(part);
                used = _values.Count;
                continue;
            }
            if (needsAll)
            {
                told.Clear();
                used = before;
            }
            // Of what cannot be told.
            _values.RemoveRange(used, _values.Count - used);
            if (needsAll)
            {
                break;
            }
        }
        return told.Count switch { 0 => null, 1 => told[0], _ => $"({string.Join($" {word} ", told)})" };
    }

    private string Give(object value, NpgsqlDbType type)
    {
        _values.Add((value, type));
        return string.Create(CultureInfo.InvariantCulture, $"${FirstParameter + _values.Count - 1}");
    }
}
