using System.Text.Json.Nodes;

namespace Gateway.Docs;

/// <summary>How a caller says who it is.</summary>
/// <param name="authority">The issuer of access tokens.</param>
/// <param name="endpoints">Null when they are not known: then the discovery document alone tells them.</param>
internal sealed class SecuritySchemes(string authority, TokenEndpoints? endpoints, IEnumerable<string> scopes, bool requireApiKey)
{
    public const string Login = "login";
    private const string Discovery = "openId";
    private const string ApiKey = "apiKey";

    public JsonObject Describe()
    {
        var schemes = new JsonObject
        {
            [Discovery] = new JsonObject
            {
                ["type"] = "openIdConnect",
                ["description"] = "Any flow of the provider that leads to an access token with the operation's scope.",
                ["openIdConnectUrl"] = $"{authority.TrimEnd('/')}/.well-known/openid-configuration",
            },
            [ApiKey] = new JsonObject
            {
                ["type"] = "apiKey",
                ["in"] = "header",
                ["name"] = ApiKeys.Header,
                ["description"] = "The key of a client application, whose plan has the limits that hold.",
            },
        };
        if (endpoints is not null)
        {
            schemes[Login] = new JsonObject
            {
                ["type"] = "oauth2",
                ["description"] = "Authorization code with PKCE (S256) for apps and users; client credentials for back-office clients.",
                ["flows"] = new JsonObject
                {
                    ["authorizationCode"] = new JsonObject
                    {
                        ["authorizationUrl"] = endpoints.Authorization,
                        ["tokenUrl"] = endpoints.Token,
                        ["refreshUrl"] = endpoints.Token,
                        ["scopes"] = Scopes(),
                        ["x-usePkce"] = "SHA-256",
                    },
                    ["clientCredentials"] = new JsonObject { ["tokenUrl"] = endpoints.Token, ["scopes"] = Scopes() },
                },
            };
        }
        return schemes;
    }

    /// <summary>Each of the alternatives is enough.</summary>
    public JsonArray Of(Routes.Route route, bool isProxied)
    {
        var alternatives = new List<JsonObject>();
        if (route.Scope is null)
        {
            alternatives.Add([]);
        }
        else
        {
            if (endpoints is not null)
            {
                alternatives.Add(new() { [Login] = new JsonArray(route.Scope) });
            }
            alternatives.Add(new() { [Discovery] = new JsonArray(route.Scope) });
        }
        if (!isProxied || route.Service is Routes.Identity)
        {
            return [.. alternatives];
        }
        var withKey = alternatives.Select(one =>
        {
            var both = one.DeepClone().AsObject();
            both[ApiKey] = new JsonArray();
            return both;
        }).ToList();
        return requireApiKey ? [.. withKey] : [.. alternatives, .. withKey];
    }

    private JsonObject Scopes() => new(scopes.Order(StringComparer.Ordinal).Select(scope =>
        KeyValuePair.Create<string, JsonNode?>(scope, MobileIntegration.ServiceDefaults.Scopes.Descriptions.GetValueOrDefault(scope) ?? scope)));
}

internal sealed record TokenEndpoints(string Authorization, string Token);
