using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace FrontendServices.Sections;

/// <summary>The sections that a screen has, and what each holds.</summary>
internal sealed class SectionSet(params (string Name, Type Data)[] sections)
{
    private const int MostFields = 50;
    private const int DeepestField = 5;

    public IReadOnlyList<string> Names { get; } = [.. sections.Select(section => section.Name)];

    /// <summary>Reads <c>sections</c>, a comma list of names; all of them when null.</summary>
    /// <param name="error">What is wrong with it; null when nothing is.</param>
    public IReadOnlyCollection<string> Parse(string? list, out string? error)
    {
        error = null;
        if (list is null)
        {
            return Names;
        }
        var wanted = list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).ToHashSet(StringComparer.Ordinal);
        if (wanted.Count is 0 || !wanted.IsSubsetOf(Names))
        {
            error = $"Name one or more of {string.Join(", ", Names)}, separated by commas.";
        }
        return wanted;
    }

    /// <summary>
    /// Reads <c>fields</c>, a comma list such as <c>profile.givenName,orders.total.minorUnits</c>. Sections of which no field is named are whole.
    /// </summary>
    /// <param name="error">What is wrong with it; null when nothing is.</param>
    public Dictionary<string, FieldTree>? ParseFields(string? list, JsonSerializerOptions json, out string? error)
    {
        error = null;
        if (list is null)
        {
            return null;
        }
        var trees = new Dictionary<string, FieldTree>(StringComparer.Ordinal);
        var fields = list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length is 0 or > MostFields)
        {
            error = $"Name 1 to {MostFields} fields, separated by commas, such as {Names[0]}.id.";
            return null;
        }
        foreach (var field in fields)
        {
            var path = field.Split('.');
            if (path.Length is < 2 or > DeepestField || Array.Find(sections, section => section.Name == path[0]) is not { Data: { } type })
            {
                error = $"'{Shown(field)}' is no field of a section: they are named such as {Names[0]}.id; the sections are {string.Join(", ", Names)}.";
                return null;
            }
            var tree = trees.TryGetValue(path[0], out var known) ? known : trees[path[0]] = new();
            for (var at = 1; at < path.Length; at++)
            {
                var members = MembersOf(type, json);
                if (members.FirstOrDefault(member => member.Name == path[at]) is not { } next)
                {
                    error = $"'{Shown(field)}': there is no {Shown(path[at])} there, but {string.Join(", ", members.Select(member => member.Name))}.";
                    return null;
                }
                type = next.PropertyType;
                tree = tree.Add(path[at]);
            }
        }
        return trees;
    }

    /// <summary>Of an array, the members of its elements.</summary>
    private static IList<JsonPropertyInfo> MembersOf(Type type, JsonSerializerOptions json)
    {
        var info = json.GetTypeInfo(type);
        return info is { Kind: JsonTypeInfoKind.Enumerable, ElementType: { } element } ? MembersOf(element, json) : info.Properties;
    }

    private static string Shown(string text) => text.Length > 60 ? text[..60] + "..." : text;
}

/// <summary>The members of an object that are asked for; of one without any, all of it.</summary>
internal sealed class FieldTree
{
    private readonly Dictionary<string, FieldTree> _members = new(StringComparer.Ordinal);

    public FieldTree Add(string member) => _members.TryGetValue(member, out var known) ? known : _members[member] = new();

    public void Write(Utf8JsonWriter writer, JsonElement value)
    {
        if (_members.Count is 0 || value.ValueKind is not (JsonValueKind.Array or JsonValueKind.Object))
        {
            value.WriteTo(writer);
        }
        else if (value.ValueKind is JsonValueKind.Array)
        {
            writer.WriteStartArray();
            foreach (var element in value.EnumerateArray())
            {
                Write(writer, element);
            }
            writer.WriteEndArray();
        }
        else
        {
            writer.WriteStartObject();
            foreach (var member in value.EnumerateObject())
            {
                if (_members.TryGetValue(member.Name, out var tree))
                {
                    writer.WritePropertyName(member.Name);
                    tree.Write(writer, member.Value);
                }
            }
            writer.WriteEndObject();
        }
    }
}
