using System.Text.Json.Nodes;

namespace MobileIntegration.Tests.Gateway.Docs;

/// <summary>What the comparison of the API with its last version calls a break.</summary>
public sealed class OpenApiChangesTests
{
    private const string Document = """
        {
          "paths": {
            "/things": {
              "get": {
                "parameters": [{ "name": "limit", "in": "query", "schema": { "type": "integer" } }],
                "responses": { "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } } } } },
                "security": [{ "login": ["things"] }]
              },
              "post": {
                "requestBody": { "required": true, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Draft" } } } },
                "responses": { "201": { "description": "Made" } }
              }
            }
          },
          "components": {
            "schemas": {
              "Thing": {
                "type": "object", "required": ["id"],
                "properties": { "id": { "type": "string" }, "kind": { "enum": ["a", "b"] }, "parent": { "$ref": "#/components/schemas/Thing" } }
              },
              "Draft": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" }, "note": { "type": ["null", "string"] } } }
            }
          }
        }
        """;

    [Theory]
    [InlineData("paths./things.get", null, "GET /things is gone")]
    [InlineData("paths./things.get.parameters.0.required", "true", "GET /things needs query parameter limit, which could be left out")]
    [InlineData("paths./things.get.parameters.0", null, "GET /things no longer takes query parameter limit")]
    [InlineData("paths./things.get.parameters.1", """{ "name": "q", "in": "query", "required": true }""", "GET /things needs a new query parameter q")]
    [InlineData("paths./things.get.parameters.0.schema.type", "\"string\"", "GET /things query parameter limit was integer and is string")]
    [InlineData("paths./things.get.responses.200", null, "GET /things no longer tells of the answer 200")]
    [InlineData("paths./things.get.security.0.login.0", "\"admin\"", "GET /things can no longer be called with login[things]")]
    [InlineData("components.schemas.Thing.properties.id", null, "GET /things 200.id is gone")]
    [InlineData("components.schemas.Thing.properties.id.type", "\"integer\"", "GET /things 200.id was string and is integer")]
    [InlineData("components.schemas.Thing.required", "[]", "GET /things 200.id may be left out")]
    [InlineData("components.schemas.Thing.properties.kind.enum.2", "\"c\"", "GET /things 200.kind may now be 'c'")]
    [InlineData("components.schemas.Draft.required.1", "\"note\"", "POST /things body.note must be there")]
    [InlineData("components.schemas.Draft.properties.note.type", "\"string\"", "POST /things body.note was null or string and is string")]
    public void It_breaks_clients(string at, string? value, string message)
    {
        Assert.Contains(message, OpenApiChanges.Breaks(Parse(), Changed(at, value)));
    }

    [Theory]
    [InlineData("paths./things.put", """{ "responses": {} }""")]
    [InlineData("paths./things.get.parameters.1", """{ "name": "q", "in": "query" }""")]
    [InlineData("paths./things.get.security.1", """{ "other": [] }""")]
    [InlineData("components.schemas.Thing.properties.more", """{ "type": "string" }""")]
    [InlineData("components.schemas.Draft.properties.more", """{ "type": "string" }""")]
    [InlineData("components.schemas.Draft.required", "[]")]
    public void It_breaks_no_client(string at, string value)
    {
        Assert.Empty(OpenApiChanges.Breaks(Parse(), Changed(at, value)));
    }

    private static JsonObject Parse() => JsonNode.Parse(Document)!.AsObject();

    private static JsonObject Changed(string at, string? value)
    {
        var document = Parse();
        var steps = at.Split('.');
        var parent = steps[..^1].Aggregate((JsonNode)document, (node, step) => (node is JsonArray array ? array[int.Parse(step, System.Globalization.CultureInfo.InvariantCulture)] : node[step])!);
        var changed = value is null ? null : JsonNode.Parse(value);
        if (parent is JsonArray list)
        {
            var index = int.Parse(steps[^1], System.Globalization.CultureInfo.InvariantCulture);
            if (index < list.Count)
            {
                list.RemoveAt(index);
            }
            if (changed is not null)
            {
                list.Insert(index, changed);
            }
        }
        else if (changed is null)
        {
            parent.AsObject().Remove(steps[^1]);
        }
        else
        {
            parent[steps[^1]] = changed;
        }
        return document;
    }
}
