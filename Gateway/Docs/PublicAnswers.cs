using System.Globalization;
using System.Text.Json.Nodes;
using MobileIntegration.ServiceDefaults;

namespace Gateway.Docs;

/// <summary>What the gateway asks of every call and answers itself, for the document.</summary>
/// <param name="requireApp">Whether calls must name their app.</param>
internal sealed class PublicAnswers(bool requireApp)
{
    private const string ProblemSchema = "#/components/schemas/Problem";
    private static readonly string[] AppParameters = [AppHeaders.Id, AppHeaders.Version, AppHeaders.Platform, AppHeaders.System, AppHeaders.Device];
    private static readonly string[] Limit = ["RateLimit", "RateLimit-Policy"];

    private static readonly (int Status, string Name, string Description, bool CanRetry)[] Problems =
    [
        (400, "BadRequest", "The request cannot be read or is not right.", false),
        (401, "Unauthorized", "The access token or the API key is missing, has ended or is not taken.", false),
        (403, "Forbidden", "The token does not have the scope, the data is another's, or the app's version or device is blocked.", false),
        (409, "KeyInUse", "The call with this Idempotency-Key is under way, or its answer was too large to be kept.", true),
        (413, "TooLarge", "The body is larger than is taken here.", false),
        (415, "UnsupportedMediaType", "The body's media type is not taken here.", false),
        (422, "KeyOfAnother", "The Idempotency-Key was used for a call with another body.", false),
        (426, "UpgradeRequired", "This version of the app is blocked, and a newer one is not.", false),
        (429, "TooManyRequests", "A limit of the plan is reached.", true),
        (500, "ServerError", "The service failed.", false),
        (502, "BadGateway", "The service could not be reached, or broke off.", false),
        (503, "Unavailable", "The service cannot answer now.", true),
        (504, "GatewayTimeout", "The service took too long.", false),
    ];

    public JsonObject Components() => new()
    {
        ["schemas"] = Schemas(),
        ["parameters"] = new JsonObject
        {
            [AppHeaders.Id] = Header(AppHeaders.Id, requireApp, "The app: a reverse domain name.", Text("com.example.shop")),
            [AppHeaders.Version] = Header(AppHeaders.Version, requireApp, "The app's version (SemVer). There with X-App-Id.", Text("1.4.2")),
            [AppHeaders.Platform] = Header(AppHeaders.Platform, false, "What the app runs on.", new JsonObject
            {
                ["type"] = "string",
                ["enum"] = new JsonArray([.. Enum.GetValues<MobileIntegration.Contracts.AppPlatform>().Select(one => (JsonNode)AppDecisions.NameOf(one))]),
            }),
            [AppHeaders.System] = Header(AppHeaders.System, false, "The version of the platform.", Text("16")),
            [AppHeaders.Device] = Header(AppHeaders.Device, false, "The installation.", new JsonObject { ["type"] = "string", ["format"] = "uuid" }),
            [IdempotencyKey.Header] = Header(
                IdempotencyKey.Header, false, "Makes the call safe to be sent again: the same key with every retry of the same call gets the same answer, for 24 h.",
                new JsonObject { ["type"] = "string", ["minLength"] = 1, ["maxLength"] = 257 }),
            [RequestLog.Header] = Header(RequestLog.Header, false, "Names the call in logs and problems; made by the gateway unless given.", Text(null)),
        },
        ["headers"] = new JsonObject
        {
            [RequestLog.Header] = Answered("Names the call in logs and problems."),
            ["RateLimit"] = Answered("What is left of the tightest limit, and in how many seconds the rest is there: `\"user-rate\";r=9;t=1`."),
            ["RateLimit-Policy"] = Answered("The limits of the plan: `\"user-rate\";q=10;w=1`."),
            ["Retry-After"] = Answered("Seconds after which the call can be sent again.", new JsonObject { ["type"] = "integer", ["minimum"] = 0 }),
            [AppGate.DecisionHeader] = Answered("There when this version is to be updated: `warn;rule=\"...\";minimum=\"1.5.0\";store=\"...\";message=%\"...\"` (RFC 9651)."),
            [Idempotency.ReplayedHeader] = Answered("`true` when the answer is that of an earlier call with the same Idempotency-Key."),
        },
        ["responses"] = Responses(),
    };

    /// <summary>What the service says itself stays.</summary>
    public static void Complete(JsonObject operation, string path, string method, Routes.Route route, bool isProxied)
    {
        var gated = isProxied && AppGate.IsGated(path);
        var repeatable = isProxied && method is "post" or "patch" && route is { Service: not Routes.Identity, Scope: not null };
        Complete((operation["parameters"] ??= new JsonArray()).AsArray(), gated, repeatable);

        var responses = operation["responses"]!.AsObject();
        foreach (var (status, response) in responses)
        {
            if (status.StartsWith('2'))
            {
                AddHeaders(response!.AsObject(), [
                    RequestLog.Header, .. isProxied ? Limit : [], .. gated ? [AppGate.DecisionHeader] : Array.Empty<string>(),
                    .. repeatable ? [Idempotency.ReplayedHeader] : Array.Empty<string>(),
                ]);
            }
        }
        foreach (var (status, name, _, _) in Problems)
        {
            var can = status switch
            {
                401 => route.Scope is not null || (isProxied && route.Service is not Routes.Identity),
                403 => route.Scope is not null || gated,
                409 or 422 => repeatable,
                413 or 415 => operation.ContainsKey("requestBody"),
                426 => gated,
                429 or 502 or 503 or 504 => isProxied,
                _ => true,
            };
            if (can)
            {
                responses.TryAdd(status.ToString(CultureInfo.InvariantCulture), new JsonObject { ["$ref"] = $"#/components/responses/{name}" });
            }
        }
        responses.TryAdd("default", new JsonObject { ["$ref"] = "#/components/responses/Problem" });
        operation["responses"] = new JsonObject(responses.OrderBy(one => one.Key, StringComparer.Ordinal).Select(one => KeyValuePair.Create(one.Key, one.Value?.DeepClone())));
    }

    private static void Complete(JsonArray parameters, bool gated, bool repeatable)
    {
        var there = parameters.Select(one => one!["name"]?.GetValue<string>()).ToHashSet(StringComparer.OrdinalIgnoreCase);
        foreach (var name in (string[])[.. gated ? AppParameters : [], .. repeatable ? [IdempotencyKey.Header] : Array.Empty<string>(), RequestLog.Header])
        {
            if (!there.Contains(name))
            {
                parameters.Add(new JsonObject { ["$ref"] = $"#/components/parameters/{name}" });
            }
        }
    }

    private static void AddHeaders(JsonObject response, string[] names)
    {
        var headers = (response["headers"] ??= new JsonObject()).AsObject();
        foreach (var name in names)
        {
            headers.TryAdd(name, new JsonObject { ["$ref"] = $"#/components/headers/{name}" });
        }
    }

    private static JsonObject Responses()
    {
        var all = new JsonObject { ["Problem"] = Problem("Any other error is a problem as well.", 0, false) };
        foreach (var (status, name, description, canRetry) in Problems)
        {
            all[name] = Problem(description, status, canRetry);
        }
        return all;
    }

    private static JsonObject Problem(string description, int status, bool canRetry)
    {
        var schema = status switch { 400 => "ValidationProblem", 403 or 426 => "AppProblem", 429 => "LimitProblem", _ => "Problem" };
        var response = new JsonObject
        {
            ["description"] = description,
            ["content"] = new JsonObject
            {
                ["application/problem+json"] = new JsonObject { ["schema"] = new JsonObject { ["$ref"] = $"#/components/schemas/{schema}" } },
            },
        };
        AddHeaders(response, [RequestLog.Header, .. status is 429 ? Limit : [], .. canRetry ? ["Retry-After"] : Array.Empty<string>()]);
        return response;
    }

    private static JsonObject Schemas() => new()
    {
        ["Problem"] = new JsonObject
        {
            ["type"] = "object",
            ["description"] = "RFC 9457.",
            ["required"] = new JsonArray("title", "status", "detail"),
            ["properties"] = new JsonObject
            {
                ["type"] = new JsonObject { ["type"] = "string", ["format"] = "uri-reference" },
                ["title"] = new JsonObject { ["type"] = "string" },
                ["status"] = new JsonObject { ["type"] = "integer" },
                ["detail"] = new JsonObject { ["type"] = "string", ["description"] = "What was wrong, and the mend." },
                ["instance"] = new JsonObject { ["type"] = "string", ["format"] = "uri-reference" },
                ["traceId"] = new JsonObject { ["type"] = "string", ["description"] = "The trace in the telemetry." },
                ["requestId"] = new JsonObject { ["type"] = "string", ["description"] = "As X-Request-Id." },
            },
        },
        ["ValidationProblem"] = More("What is wrong with which part of the request.", new()
        {
            ["errors"] = new JsonObject
            {
                ["type"] = "object",
                ["additionalProperties"] = new JsonObject { ["type"] = "array", ["items"] = new JsonObject { ["type"] = "string" } },
            },
        }),
        ["AppProblem"] = More("With the decision where the rules about apps made it.", new()
        {
            ["decision"] = new JsonObject { ["type"] = "string", ["const"] = "block" },
            ["rule"] = Text(null),
            ["store"] = new JsonObject { ["type"] = "string", ["format"] = "uri" },
            ["minimumVersion"] = Text("1.5.0"),
            ["deviceBlocked"] = new JsonObject { ["type"] = "boolean" },
        }),
        ["LimitProblem"] = More("draft-ietf-httpapi-ratelimit-headers.", new()
        {
            ["violated-policies"] = new JsonObject { ["type"] = "array", ["items"] = new JsonObject { ["type"] = "string" } },
        }),
    };

    private static JsonObject More(string description, JsonObject properties) => new()
    {
        ["description"] = description,
        ["allOf"] = new JsonArray(new JsonObject { ["$ref"] = ProblemSchema }, new JsonObject { ["type"] = "object", ["properties"] = properties }),
    };

    private static JsonObject Header(string name, bool required, string description, JsonObject schema) => new()
    {
        ["name"] = name,
        ["in"] = "header",
        ["required"] = required,
        ["description"] = description,
        ["schema"] = schema,
    };

    private static JsonObject Answered(string description, JsonObject? schema = null) =>
        new() { ["description"] = description, ["schema"] = schema ?? Text(null) };

    private static JsonObject Text(string? example)
    {
        var text = new JsonObject { ["type"] = "string" };
        if (example is not null)
        {
            text["examples"] = new JsonArray(example);
        }
        return text;
    }
}
