using System.Text.Json.Nodes;

namespace MobileServices.Configuration.Admin;

/// <summary>One place where two versions differ.</summary>
/// <param name="Path">A JSON Pointer (RFC 6901), such as <c>/rules/0/serve</c>.</param>
/// <param name="Before">Null when it was not there.</param>
/// <param name="After">Null when it is not there any more.</param>
internal sealed record Difference(string Path, JsonNode? Before, JsonNode? After)
{
    public static IEnumerable<Difference> Between(JsonNode? before, JsonNode? after, string path = "") => (before, after) switch
    {
        (JsonObject left, JsonObject right) => left.Select(one => one.Key).Union(right.Select(one => one.Key))
            .SelectMany(name => Between(left[name], right[name], $"{path}/{name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}")),
        (JsonArray left, JsonArray right) => Enumerable.Range(0, Math.Max(left.Count, right.Count))
            .SelectMany(at => Between(at < left.Count ? left[at] : null, at < right.Count ? right[at] : null, $"{path}/{at}")),
        _ => JsonNode.DeepEquals(before, after) ? [] : [new(path, before, after)],
    };
}
