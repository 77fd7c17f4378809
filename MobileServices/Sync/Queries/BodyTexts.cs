using System.Text.Json;

namespace MobileServices.Sync.Queries;

/// <summary>
/// Texts that stand in the body of every document that a selector hits: of each group one, with the quotes around it. They may be written with escapes there,
/// as <see cref="Escape"/> begins. To look for a text costs an eighth of what reading the body as jsonb does.
/// </summary>
internal sealed class BodyTexts
{
    private const int MostGroups = 3;
    private const int MostChoices = 5;

    /// <param name="Values">Groups of values that are asked for.</param>
    /// <param name="Names">The names of fields that must be there: each a group.</param>
    private readonly record struct Found(List<string[]> Values, List<string[]> Names);

    public BodyTexts(JsonElement selector)
    {
        var found = new Found([], []);
        Read(selector, found, isDocument: true);
        Groups = [.. (found.Values.Count > 0 ? found.Values : found.Names).Take(MostGroups)];
        Escape = Groups.Exists(group => group.Any(text => text.Contains('/', StringComparison.Ordinal))) ? "\\" : "\\u";
    }

    public List<string[]> Groups { get; }

    public string Escape { get; }

    private static void Read(JsonElement json, Found found, bool isDocument)
    {
        foreach (var member in json.EnumerateObject())
        {
            if (member.Name.StartsWith('$'))
            {
                Operator(member.Name, member.Value, found, isDocument);
            }
            else if (Selector.PathOf(member.Name) is var path && !(isDocument && path[0].StartsWith('_')))
            {
                var before = found.Names.Count;
                Value(member.Value, found, isDocument: false);
                if (found.Names.Count > before || IsThere(member.Value))
                {
                    Add(found.Names, [path[^1]]);
                }
            }
        }
    }

    private static void Value(JsonElement json, Found found, bool isDocument)
    {
        if (json.ValueKind is JsonValueKind.Object)
        {
            Read(json, found, isDocument);
        }
        else if (!isDocument)
        {
            Choose(found, [json]);
        }
    }

    /// <summary>Whether the field must be there to meet that.</summary>
    private static bool IsThere(JsonElement json) => json.ValueKind is not JsonValueKind.Object || !json.EnumerateObject().Any() || json.EnumerateObject().Any(member => member.Name switch
    {
        "$exists" => member.Value.GetBoolean(),
        "$and" => member.Value.EnumerateArray().Any(IsThere),
        "$or" or "$nor" or "$not" => false,
        var name => name.StartsWith('$'),
    });

    private static void Operator(string name, JsonElement argument, Found found, bool isDocument)
    {
        switch (name)
        {
            case "$and":
                foreach (var item in argument.EnumerateArray())
                {
                    Value(item, found, isDocument);
                }
                break;
            case "$or":
                var branches = argument.EnumerateArray().Select(item =>
                {
                    var branch = new Found([], []);
                    Value(item, branch, isDocument);
                    return branch.Values;
                }).ToList();
                if (branches.Count is > 0 and <= MostChoices && branches.TrueForAll(branch => branch.Count > 0))
                {
                    found.Values.Add([.. branches.SelectMany(branch => branch[0])]);
                }
                break;
            case "$elemMatch" or "$allMatch" when !isDocument:
                Value(argument, found, isDocument: false);
                break;
            case "$eq" when !isDocument:
                Choose(found, [argument]);
                break;
            case "$in" when !isDocument:
                Choose(found, [.. argument.EnumerateArray()]);
                break;
            case "$all" when !isDocument:
                foreach (var item in argument.EnumerateArray())
                {
                    Choose(found, [item]);
                }
                break;
            case "$beginsWith" when !isDocument && argument.GetString()!.Length > 0:
                Add(found.Values, [argument.GetString()!], end: "");
                break;
        }
    }

    private static void Choose(Found found, List<JsonElement> choices)
    {
        if (choices.Count > 0 && choices.TrueForAll(choice => choice.ValueKind is JsonValueKind.String && SelectorSql.Scalar(choice) is not null))
        {
            Add(found.Values, [.. choices.Select(choice => choice.GetString()!)]);
        }
    }

    /// <summary>But for texts that are always written with escapes.</summary>
    private static void Add(List<string[]> groups, string[] texts, string end = "\"")
    {
        if (texts.Length <= MostChoices && texts.All(text => SelectorSql.IsReadable(text) && !text.Any(unit => unit is '"' or '\\' || char.IsControl(unit))))
        {
            groups.Add([.. texts.Select(text => $"\"{text}{end}")]);
        }
    }
}
