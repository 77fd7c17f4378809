using System.Text.Json.Nodes;

namespace MobileIntegration.Tests.Gateway.Docs;

/// <summary>What clients of one OpenAPI document can no longer rely on with another: words, not positions in a file.</summary>
internal sealed class OpenApiChanges(JsonObject before, JsonObject after)
{
    private static readonly string[] Methods = ["get", "put", "post", "delete", "patch", "head", "options"];
    private readonly List<string> _breaks = [];

    public static IReadOnlyList<string> Breaks(JsonObject before, JsonObject after)
    {
        var changes = new OpenApiChanges(before, after);
        changes.ComparePaths();
        return changes._breaks;
    }

    private void ComparePaths()
    {
        foreach (var (path, item) in before["paths"]!.AsObject())
        {
            foreach (var (method, operation) in item!.AsObject().Where(one => Methods.Contains(one.Key)))
            {
                var name = $"{method.ToUpperInvariant()} {path}";
                if (after["paths"]?[path]?[method] is not JsonObject now)
                {
                    _breaks.Add($"{name} is gone");
                    continue;
                }
                CompareParameters(name, operation!.AsObject(), now);
                CompareBody(name, operation!["requestBody"] as JsonObject, now["requestBody"] as JsonObject);
                CompareAnswers(name, operation["responses"]!.AsObject(), now["responses"]!.AsObject());
                CompareSecurity(name, operation["security"] as JsonArray, now["security"] as JsonArray);
            }
        }
    }

    private void CompareParameters(string name, JsonObject was, JsonObject now)
    {
        var old = Parameters(was, before);
        foreach (var (key, parameter) in Parameters(now, after))
        {
            if (!old.TryGetValue(key, out var known))
            {
                if (IsRequired(parameter))
                {
                    _breaks.Add($"{name} needs a new {key}");
                }
                continue;
            }
            if (IsRequired(parameter) && !IsRequired(known))
            {
                _breaks.Add($"{name} needs {key}, which could be left out");
            }
            CompareSchemas($"{name} {key}", known["schema"], parameter["schema"], isRequest: true, []);
            old.Remove(key);
        }
        _breaks.AddRange(old.Keys.Except(Parameters(now, after).Keys).Select(gone => $"{name} no longer takes {gone}"));
    }

    private void CompareBody(string name, JsonObject? was, JsonObject? now)
    {
        if (now is not null && IsRequired(now) && (was is null || !IsRequired(was)))
        {
            _breaks.Add($"{name} needs a body");
        }
        CompareContents($"{name} body", was, now, isRequest: true);
    }

    private void CompareAnswers(string name, JsonObject was, JsonObject now)
    {
        foreach (var (status, response) in was)
        {
            if (now[status] is not { } other)
            {
                _breaks.Add($"{name} no longer tells of the answer {status}");
                continue;
            }
            var (known, answered) = (Resolve(response!, before), Resolve(other, after));
            foreach (var header in (known["headers"] as JsonObject ?? []).Select(one => one.Key).Except((answered["headers"] as JsonObject ?? []).Select(one => one.Key)))
            {
                _breaks.Add($"{name} {status} no longer has the header {header}");
            }
            CompareContents($"{name} {status}", known, answered, isRequest: false);
        }
        _breaks.AddRange(now.Select(one => one.Key).Where(status => status[0] is '2' && !was.ContainsKey(status)).Select(status => $"{name} has a new answer {status}"));
    }

    private void CompareContents(string name, JsonObject? was, JsonObject? now, bool isRequest)
    {
        foreach (var (type, content) in was?["content"] as JsonObject ?? [])
        {
            if (now?["content"]?[type] is not { } other)
            {
                _breaks.Add($"{name} is no longer {type}");
                continue;
            }
            CompareSchemas(name, content!["schema"], other["schema"], isRequest, []);
        }
    }

    private void CompareSecurity(string name, JsonArray? was, JsonArray? now)
    {
        var enough = (now ?? []).Select(Alternative).ToHashSet();
        _breaks.AddRange((was ?? []).Select(Alternative).Where(one => !enough.Contains(one)).Select(one => $"{name} can no longer be called with {one}"));

        static string Alternative(JsonNode? one) => one is JsonObject { Count: > 0 } needs
            ? string.Join(" and ", needs.OrderBy(need => need.Key, StringComparer.Ordinal).Select(need => $"{need.Key}[{string.Join(' ', need.Value!.AsArray())}]"))
            : "nothing";
    }

    private void CompareSchemas(string name, JsonNode? was, JsonNode? now, bool isRequest, HashSet<string> seen)
    {
        if (was is not JsonObject known || now is not JsonObject other || (known["$ref"] is { } reference && !seen.Add($"{reference}")))
        {
            if (was is JsonObject && now is null && !isRequest)
            {
                _breaks.Add($"{name} no longer tells what it is");
            }
            return;
        }
        (known, other) = (Resolve(known, before), Resolve(other, after));
        var (types, newTypes) = (Types(known), Types(other));
        // An answer may not become anything that clients have not seen, a request must take all that they send.
        if (isRequest ? newTypes.Count > 0 && types.Except(newTypes).Any() : types.Count > 0 && newTypes.Except(types).Any())
        {
            _breaks.Add($"{name} was {string.Join(" or ", types)} and is {string.Join(" or ", newTypes)}");
        }
        if ($"{known["format"]}" != $"{other["format"]}" && known["format"] is not null)
        {
            _breaks.Add($"{name} had the format {known["format"]} and has {other["format"] ?? "none"}");
        }
        CompareChoices(name, known, other, isRequest);
        CompareMembers(name, known, other, isRequest, seen);
        CompareSchemas($"{name}[]", known["items"], other["items"], isRequest, seen);
        CompareSchemas($"{name}.*", known["additionalProperties"], other["additionalProperties"], isRequest, seen);
        foreach (var kind in (string[])["allOf", "anyOf", "oneOf"])
        {
            var (parts, newParts) = (known[kind] as JsonArray ?? [], other[kind] as JsonArray ?? []);
            if (parts.Count > newParts.Count || (!isRequest && kind is not "allOf" && newParts.Count > parts.Count))
            {
                _breaks.Add($"{name} has other alternatives ({kind})");
                continue;
            }
            for (var index = 0; index < parts.Count; index++)
            {
                CompareSchemas(name, parts[index], newParts[index], isRequest, seen);
            }
        }
    }

    private void CompareChoices(string name, JsonObject was, JsonObject now, bool isRequest)
    {
        if (was["enum"] is not JsonArray choices)
        {
            if (isRequest && now["enum"] is not null)
            {
                _breaks.Add($"{name} takes only {now["enum"]!.ToJsonString()}");
            }
            return;
        }
        var (old, current) = (choices.Select(one => $"{one}").ToList(), (now["enum"] as JsonArray ?? []).Select(one => $"{one}").ToList());
        _breaks.AddRange(isRequest
            ? old.Except(current).Where(_ => now["enum"] is not null).Select(choice => $"{name} no longer takes '{choice}'")
            : current.Except(old).Select(choice => $"{name} may now be '{choice}'"));
    }

    private void CompareMembers(string name, JsonObject was, JsonObject now, bool isRequest, HashSet<string> seen)
    {
        var (members, newMembers) = (was["properties"] as JsonObject ?? [], now["properties"] as JsonObject ?? []);
        var (required, newRequired) = (Required(was), Required(now));
        foreach (var (member, schema) in members)
        {
            if (newMembers[member] is not { } other)
            {
                _breaks.Add($"{name}.{member} is gone");
                continue;
            }
            CompareSchemas($"{name}.{member}", schema, other, isRequest, seen);
        }
        _breaks.AddRange(isRequest
            ? newRequired.Except(required).Select(member => $"{name}.{member} must be there")
            : required.Except(newRequired).Where(newMembers.ContainsKey).Select(member => $"{name}.{member} may be left out"));
    }

    private static Dictionary<string, JsonObject> Parameters(JsonObject operation, JsonObject document) =>
        (operation["parameters"] as JsonArray ?? []).Select(one => Resolve(one!, document)).ToDictionary(one => $"{one["in"]} parameter {one["name"]}");

    private static JsonObject Resolve(JsonNode node, JsonObject document) => node["$ref"] is { } reference
        ? Resolve($"{reference}"["#/".Length..].Split('/').Aggregate((JsonNode)document, (at, step) => at[step]!), document)
        : node.AsObject();

    private static bool IsRequired(JsonObject one) => one["required"]?.GetValue<bool>() ?? false;

    private static HashSet<string> Required(JsonObject schema) => [.. (schema["required"] as JsonArray ?? []).Select(one => $"{one}")];

    private static HashSet<string> Types(JsonObject schema) => schema["type"] switch
    {
        JsonArray several => [.. several.Select(one => $"{one}")],
        null => [],
        var one => [$"{one}"],
    };
}
