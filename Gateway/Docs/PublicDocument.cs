using System.Globalization;
using System.Text.Json.Nodes;
using MobileIntegration.ServiceDefaults;

namespace Gateway.Docs;

/// <summary>
/// Makes one OpenAPI 3.1 document of those of the services: the operations to which a route leads, with what the gateway asks and answers itself.
/// </summary>
internal sealed class PublicDocument(IReadOnlyList<Routes.Route> routes, PublicAnswers answers, SecuritySchemes security)
{
    private const string References = "#/components/";
    private static readonly Routes.Route Own = new("/admin/clients/{**rest}", "gateway", Scopes.GatewayAdmin);

    /// <summary>The gateway has these itself, the same for all.</summary>
    private static readonly Dictionary<string, string> Shared = new()
    {
        ["schemas/ProblemDetails"] = "schemas/Problem",
        ["schemas/HttpValidationProblemDetails"] = "schemas/ValidationProblem",
    };

    private readonly SortedDictionary<string, JsonObject> _paths = new(StringComparer.Ordinal);
    private readonly JsonObject _components = answers.Components();

    /// <summary>With the place of the first route to one of its operations.</summary>
    private readonly Dictionary<string, int> _tags = [];

    /// <param name="address">Where the gateway is, without a slash at the end.</param>
    /// <param name="own">The gateway's own document.</param>
    public JsonObject Merge(string address, JsonObject own, IEnumerable<ServiceDocument> services)
    {
        var missing = new SortedDictionary<string, string>(StringComparer.Ordinal);
        Add(own, path => Own.Leads(path) ? Own : null, _ => true);
        foreach (var service in services)
        {
            if (service.Document is { } document)
            {
                Add(document, path => Routes.To(path, routes), operation => operation[ApiDocument.ServiceExtension]?.GetValue<string>() == service.Service);
            }
            if (service.IsAway)
            {
                missing[routes.First(route => route.Service == service.Service).Area] = service.At is { } at
                    ? string.Create(CultureInfo.InvariantCulture, $"as of {at.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC")
                    : "not known since the start of the gateway, and left out";
            }
        }
        _components["securitySchemes"] = security.Describe();
        return new JsonObject
        {
            ["openapi"] = "3.1.1",
            ["info"] = Info(missing),
            ["servers"] = new JsonArray(new JsonObject { ["url"] = address }),
            ["paths"] = new JsonObject(_paths.Select(path => KeyValuePair.Create<string, JsonNode?>(path.Key, path.Value))),
            ["components"] = Sorted(_components),
            ["tags"] = new JsonArray([.. _tags.OrderBy(tag => tag.Value).ThenBy(tag => tag.Key, StringComparer.Ordinal).Select(tag => (JsonNode)new JsonObject { ["name"] = tag.Key })]),
        };
    }

    private static JsonObject Info(SortedDictionary<string, string> missing)
    {
        var info = new JsonObject
        {
            ["title"] = "Mobile API",
            ["version"] = "1",
            ["description"] =
                "What apps reach through the gateway. Calls carry an access token of the OpenID Connect provider and say which app they come from (`X-App-*`). "
                + "Every error is a problem (RFC 9457), whose `detail` says the mend.",
        };
        if (missing.Count > 0)
        {
            info["description"] = $"**Not up to date:** {string.Join("; ", missing.Select(one => $"`{one.Key}` ({one.Value})"))}.\n\n{info["description"]}";
            info["x-not-up-to-date"] = new JsonObject(missing.Select(one => KeyValuePair.Create<string, JsonNode?>(one.Key, one.Value)));
        }
        return info;
    }

    private void Add(JsonObject document, Func<string, Routes.Route?> find, Func<JsonObject, bool> isOfService)
    {
        foreach (var (path, item) in document["paths"]?.AsObject() ?? [])
        {
            // Minimal APIs write the root of a group with a slash at its end, and answer without it as well.
            var outside = path.Length > 1 ? path.TrimEnd('/') : path;
            if (find(outside) is not { } route)
            {
                continue;
            }
            foreach (var (method, operation) in item!.AsObject())
            {
                if (operation is JsonObject one && one.ContainsKey("responses") && isOfService(one))
                {
                    var copy = one.DeepClone().AsObject();
                    copy.Remove(ApiDocument.ServiceExtension);
                    copy["operationId"] = Id(method, outside);
                    Rename(copy, document, route.Area);
                    PublicAnswers.Complete(copy, outside, method, route, isProxied: route != Own);
                    copy["security"] = security.Of(route, isProxied: route != Own);
                    foreach (var tag in copy["tags"]?.AsArray() ?? [])
                    {
                        _tags.TryAdd(tag!.GetValue<string>(), route == Own ? routes.Count : routes.Index().First(one => one.Item == route).Index);
                    }
                    (_paths.TryGetValue(outside, out var there) ? there : _paths[outside] = [])[method] = copy;
                }
            }
        }
    }

    /// <summary>Such as <c>get_api_orders_id</c>: as steady as the path.</summary>
    private static string Id(string method, string path) =>
        $"{method}{string.Concat(path.Split(['/', '{', '}', ':'], StringSplitOptions.RemoveEmptyEntries).Select(word => $"_{word}"))}";

    /// <summary>Every component that is referred to gets the area before its name, so that those of two services cannot clash, and comes along.</summary>
    private void Rename(JsonNode? node, JsonObject document, string area)
    {
        if (node is JsonArray array)
        {
            foreach (var one in array)
            {
                Rename(one, document, area);
            }
            return;
        }
        if (node is not JsonObject some)
        {
            return;
        }
        if (some["$ref"] is JsonValue value && value.GetValue<string>() is var reference && reference.StartsWith(References, StringComparison.Ordinal))
        {
            some["$ref"] = References + Take(reference[References.Length..], document, area);
        }
        foreach (var (_, child) in some)
        {
            Rename(child, document, area);
        }
    }

    /// <returns>Its kind and new name.</returns>
    private string Take(string component, JsonObject document, string area)
    {
        if (Shared.TryGetValue(component, out var shared))
        {
            return shared;
        }
        var (kind, name) = (component[..component.IndexOf('/', StringComparison.Ordinal)], component[(component.IndexOf('/', StringComparison.Ordinal) + 1)..]);
        var all = (_components[kind] ??= new JsonObject()).AsObject();
        var renamed = $"{area}.{name}";
        if (!all.ContainsKey(renamed) && document["components"]?[kind]?[name] is { } known)
        {
            var copy = known.DeepClone();
            // Before what it refers to is looked at, which may be itself.
            all[renamed] = copy;
            Rename(copy, document, area);
        }
        return $"{kind}/{renamed}";
    }

    private static JsonObject Sorted(JsonObject components) => new(components.OrderBy(kind => kind.Key, StringComparer.Ordinal).Select(kind =>
        KeyValuePair.Create<string, JsonNode?>(kind.Key, new JsonObject(kind.Value!.AsObject().OrderBy(one => one.Key, StringComparer.Ordinal)
            .Select(one => KeyValuePair.Create(one.Key, one.Value?.DeepClone()))))));
}
