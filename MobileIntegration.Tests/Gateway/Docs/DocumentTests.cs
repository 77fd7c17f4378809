using System.Diagnostics;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace MobileIntegration.Tests.Gateway.Docs;

public sealed class DocumentTests(DocumentedGateway documented) : IClassFixture<DocumentedGateway>
{
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [Fact]
    public async Task What_clients_rely_on_stays()
    {
        var text = (await documented.DocumentAsync()).ToJsonString();
        foreach (var address in (string[])[documented.Issuer, $"{documented.Gateway.Address}".TrimEnd('/')])
        {
            text = text.Replace(address, $"https://api.example.com{new Uri(address).AbsolutePath.TrimEnd('/')}", StringComparison.Ordinal);
        }
        var now = JsonNode.Parse(text)!.AsObject();
        var file = Snapshot();
        if (Environment.GetEnvironmentVariable("ACCEPT_API") is "1")
        {
            await File.WriteAllTextAsync(file, now.ToJsonString(Readable) + "\n");
        }
        var known = JsonNode.Parse(await File.ReadAllTextAsync(file))!.AsObject();
        const string Accept = "If it is meant: ACCEPT_API=1 dotnet test MobileIntegration.Tests --filter What_clients_rely_on_stays, and commit Gateway/Docs/openapi.json.";
        var breaks = OpenApiChanges.Breaks(known, now);
        Assert.True(breaks.Count is 0, $"This breaks clients:\n  {string.Join("\n  ", breaks)}\n{Accept}");
        Assert.True(JsonNode.DeepEquals(known, now), $"The API has changed, and no client breaks: {Difference(known, now)}\n{Accept}");
    }

    [Fact]
    public async Task It_is_valid_OpenAPI_3_1_by_somebody_elses_validator()
    {
        var start = new ProcessStartInfo("node", [Path.Combine(NpmClients.Folder(), "openapi-schema-validator.mjs")])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var node = Process.Start(start)!;
        await node.StandardInput.WriteAsync((await documented.DocumentAsync()).ToJsonString());
        node.StandardInput.Close();
        var (code, output, error) = await node.EndAsync();
        Assert.True(code is 0, error);
        Assert.Equal("3.1", output.Trim());
    }

    [Fact]
    public async Task Every_operation_has_a_summary_an_answer_and_its_problems()
    {
        var document = await documented.DocumentAsync();
        Assert.All(Operations(document), operation =>
        {
            Assert.False(string.IsNullOrWhiteSpace($"{operation.Value["summary"]}"), $"{operation.Name} has no summary.");
            Assert.NotEmpty(operation.Value["tags"]!.AsArray());
            var answers = operation.Value["responses"]!.AsObject();
            Assert.True(answers.Any(answer => answer.Key[0] is '2' or '3'), $"{operation.Name} has no answer but problems.");
            foreach (var status in (string[])["400", "500", "default"])
            {
                Assert.True(answers.ContainsKey(status), $"{operation.Name} does not tell of {status}.");
            }
            if (operation.Value["security"]!.AsArray().All(one => one!.AsObject().Count > 0))
            {
                Assert.True(answers.ContainsKey("401") && answers.ContainsKey("403"), $"{operation.Name} needs a token and does not tell of 401 and 403.");
            }
            foreach (var (status, answer) in answers.Where(answer => answer.Key[0] is '4' or '5' or 'd' && answer.Value!["$ref"] is null))
            {
                Assert.True(
                    answer!["content"]?["application/problem+json"] is not null || operation.Name.Contains(" /identity/", StringComparison.Ordinal)
                        || operation.Name.Contains(" /ofrep/", StringComparison.Ordinal) || operation.Name.Contains(" /sync", StringComparison.Ordinal), // all have errors of their protocol's own shape
                    $"{operation.Name} {status} is no problem: {answer.ToJsonString()}");
            }
        });
        var ids = Operations(document).Select(operation => $"{operation.Value["operationId"]}").ToList();
        Assert.Equal(ids.Distinct(), ids);
    }

    [Fact]
    public async Task It_tells_of_what_is_reachable_from_outside_and_of_nothing_else()
    {
        var document = await documented.DocumentAsync();
        var paths = document["paths"]!.AsObject().Select(path => path.Key).ToList();
        Assert.Superset(
            new HashSet<string> { "/api/home", "/api/orders", "/api/orders/{id}", "/api/catalog/products", "/api/account", "/changes", "/ofrep/v1/evaluate/flags", "/commands", "/devices/init", "/devices/{id}", "/devices/admin/rules", "/admin/clients" },
            paths.ToHashSet());
        Assert.DoesNotContain(paths, path => path.StartsWith("/identity/users", StringComparison.Ordinal) || path is "/devices/app-gate" or "/identity/revocations");
        using var nobody = new HttpClient { BaseAddress = documented.Gateway.Address };
        foreach (var path in paths.Where(path => !path.StartsWith("/admin/", StringComparison.Ordinal)))
        {
            // A path that no route leads to is 404 before anybody asks for a token.
            using var response = await nobody.GetAsync(
                path.Replace("{", "", StringComparison.Ordinal).Replace("}", "", StringComparison.Ordinal), HttpCompletionOption.ResponseHeadersRead);
            Assert.True(
                response.StatusCode is not HttpStatusCode.NotFound || !(await response.Content.ReadAsStringAsync()).Contains("Nothing is here", StringComparison.Ordinal), path);
        }
        var text = document.ToJsonString();
        Assert.DoesNotContain("x-service", text, StringComparison.Ordinal);
        Assert.DoesNotContain("app-orders", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_operation_names_the_scope_that_the_gateway_asks_for_and_the_headers_that_it_takes()
    {
        var document = await documented.DocumentAsync();
        Assert.Contains("""{"login":["orders"]}""", document["paths"]!["/api/orders"]!["post"]!["security"]!.ToJsonString(), StringComparison.Ordinal);
        Assert.Contains("""{"openId":["devices.admin"],"apiKey":[]}""", document["paths"]!["/devices/admin/rules"]!["get"]!["security"]!.ToJsonString(), StringComparison.Ordinal);
        Assert.StartsWith("[{},", document["paths"]!["/devices/init"]!["post"]!["security"]!.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(
            ["header Idempotency-Key", "header X-App-Id", "header X-App-Platform", "header X-App-Version", "header X-Device-Id", "header X-OS-Version", "header X-Request-Id"],
            Parameters("/api/orders", "post"));
        Assert.DoesNotContain("header X-App-Id", Parameters("/devices/init", "post"));
        Assert.DoesNotContain("header Idempotency-Key", Parameters("/api/orders", "get"));
        Assert.Equal(
            ["Idempotency-Replayed", "RateLimit", "RateLimit-Policy", "X-App-Decision", "X-Request-Id"],
            document["paths"]!["/api/orders"]!["post"]!["responses"]!["202"]!["headers"]!.AsObject().Select(header => header.Key).Order(StringComparer.Ordinal));
        Assert.Equal($"{documented.Issuer}/connect/token", $"{document["components"]!["securitySchemes"]!["login"]!["flows"]!["authorizationCode"]!["tokenUrl"]}");

        List<string> Parameters(string path, string method) =>
        [
            .. document["paths"]![path]![method]!["parameters"]!.AsArray()
                .Select(one => one!["$ref"] is { } reference ? document["components"]!["parameters"]![$"{reference}".Split('/')[^1]]! : one!)
                .Select(one => $"{one["in"]} {one["name"]}").Order(StringComparer.Ordinal),
        ];
    }

    [Fact]
    public async Task A_service_that_is_away_is_told_of_as_it_was_last_known()
    {
        var documents = JsonNode.Parse("""
            { "openapi": "3.1.1", "paths": { "/api/home": { "get": { "summary": "Home", "tags": ["Home"], "x-service": "home", "responses": { "200": { "description": "OK" } } } } } }
            """)!;
        var away = false;
        await using var home = await Upstream.StartAsync(context =>
        {
            if (away)
            {
                context.Abort();
                return Task.CompletedTask;
            }
            context.Response.ContentType = "application/json";
            return Microsoft.AspNetCore.Http.HttpResponseWritingExtensions.WriteAsync(context.Response, documents.ToJsonString());
        });
        await using var gateway = documented.Start(
            TestServices.At("home", home.Address), TestServices.At("app-orders", new("http://127.0.0.1:9")));

        var document = await documented.DocumentAsync(gateway);
        Assert.Equal("Home", $"{document["paths"]!["/api/home"]!["get"]!["summary"]}");
        Assert.DoesNotContain("/api/orders", document["paths"]!.AsObject().Select(path => path.Key));
        Assert.StartsWith("not known", $"{document["info"]!["x-not-up-to-date"]!["orders"]}", StringComparison.Ordinal);
        Assert.Null(document["info"]!["x-not-up-to-date"]!["home"]);

        away = true;
        await Eventually.TrueAsync(
            async () => (document = await documented.DocumentAsync(gateway))["info"]!["x-not-up-to-date"]!["home"] is not null, TimeSpan.FromSeconds(30));
        Assert.StartsWith("as of ", $"{document["info"]!["x-not-up-to-date"]!["home"]}", StringComparison.Ordinal);
        Assert.Contains("`home` (as of ", $"{document["info"]!["description"]}", StringComparison.Ordinal);
        Assert.Equal("Home", $"{document["paths"]!["/api/home"]!["get"]!["summary"]}");

        away = false;
        await Eventually.TrueAsync(async () => (await documented.DocumentAsync(gateway))["info"]!["x-not-up-to-date"]!["home"] is null, TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task Page_and_document_are_off_unless_they_are_switched_on()
    {
        await using var gateway = documented.Start(("Docs:Access", ""));
        await (await gateway.Http.GetAsync("/docs")).ProblemAsync(404);
        await (await gateway.Http.GetAsync(DocumentedGateway.Document)).ProblemAsync(404);
    }

    [Fact]
    public async Task All_that_the_page_loads_comes_from_the_gateway()
    {
        using var http = new HttpClient { BaseAddress = documented.Gateway.Address };
        using var response = await http.GetAsync("/docs");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var policy = response.Headers.GetValues("Content-Security-Policy").Single();
        Assert.Contains("default-src 'none'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("script-src 'unsafe", policy, StringComparison.Ordinal);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
        var html = await response.Content.ReadAsStringAsync();
        Assert.DoesNotContain("https://", html, StringComparison.Ordinal);
        using var script = await http.GetAsync("/docs/scalar.js");
        Assert.Equal("text/javascript", script.Content.Headers.ContentType?.MediaType);
        // Another page, another nonce.
        using var again = await http.GetAsync("/docs");
        Assert.NotEqual(policy, again.Headers.GetValues("Content-Security-Policy").Single());
    }

    private static IEnumerable<(string Name, JsonObject Value)> Operations(JsonObject document) =>
        from path in document["paths"]!.AsObject() from one in path.Value!.AsObject() select ($"{one.Key.ToUpperInvariant()} {path.Key}", one.Value!.AsObject());

    /// <summary>The first place at which two documents differ.</summary>
    private static string Difference(JsonNode? was, JsonNode? now, string at = "#")
    {
        if (was is JsonObject known && now is JsonObject other)
        {
            return known.Select(one => one.Key).Union(other.Select(one => one.Key)).Where(key => !JsonNode.DeepEquals(known[key], other[key]))
                .Select(key => Difference(known[key], other[key], $"{at}/{key}")).FirstOrDefault() ?? $"{at}: the order";
        }
        return $"{at} was {was?.ToJsonString() ?? "not there"} and is {now?.ToJsonString() ?? "not there"}";
    }

    private static string Snapshot([CallerFilePath] string path = "") => Path.Combine(Path.GetDirectoryName(path)!, "openapi.json");
}
