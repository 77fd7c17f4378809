using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using static MobileIntegration.Tests.MobileServices.Sync.SyncService;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Functions of design documents: they decide, and do nothing else.</summary>
public sealed class DesignDocumentTests(SyncService service) : IClassFixture<SyncService>
{
    private const string Rules = """
        function (newDoc, oldDoc, userCtx, secObj) {
          if (newDoc.kind === "secret") { throw({ unauthorized: "Sign in first, " + userCtx.name }); }
          if (!newDoc._deleted && typeof newDoc.n !== "number") { throw({ forbidden: "n must be a number" }); }
          if (oldDoc && newDoc.n < oldDoc.n) { throw({ forbidden: "n was " + oldDoc.n + " in " + userCtx.db }); }
        }
        """;

    private readonly string _user = service.NewUser();

    [Fact]
    public async Task A_document_is_written_when_all_design_documents_agree()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("rules");
        var design = await client.PutAsync("rules/_design/rules", Validating(Rules));
        await client.PutAsync("rules/_design/even", Validating("""(doc) => { if (doc.n % 2) { throw { forbidden: "odd" }; } }"""));

        var first = await client.PutAsync("rules/a", """{"n":2}""");
        Assert.Equal("n must be a number", (string?)(await client.PutAsync("rules/b", """{"n":"2"}""", 403))["reason"]);
        Assert.Equal("odd", (string?)(await client.PutAsync("rules/b", """{"n":3}""", 403))["reason"]);
        Assert.Equal($"Sign in first, {_user}", (string?)(await client.PutAsync("rules/b", """{"kind":"secret"}""", 401))["reason"]);
        Assert.Equal("n was 2 in rules", (string?)(await client.PutAsync("rules/a", $$"""{"_rev":"{{first["rev"]}}","n":0}""", 403))["reason"]);
        await client.GetAsync("rules/b", 404);

        var rows = await client.PostAsync("rules/_bulk_docs", """{"docs":[{"_id":"c","n":4},{"_id":"d","n":5},{"_id":"e","kind":"secret"}]}""", 201);
        Assert.Equal([null, "forbidden", "unauthorized"], rows.AsArray().Select(row => (string?)row!["error"]));
        var taken = await client.PostAsync("rules/_bulk_docs", """{"new_edits":false,"docs":[{"_id":"f","_rev":"1-aaaa","n":4},{"_id":"g","_rev":"1-bbbb","n":5}]}""", 201);
        Assert.Equal("""[{"id":"g","rev":"1-bbbb","error":"forbidden","reason":"odd"}]""", taken.ToJsonString());
        Assert.Equal(["_design/even", "_design/rules", "a", "c", "f"], (await client.GetAsync("rules/_all_docs"))["rows"]!.AsArray().Select(row => (string?)row!["id"]));

        await client.PutAsync("rules/_local/x", """{"n":"none"}""");
        await client.DeleteAsync($"rules/_design/rules?rev={design["rev"]}");
        await client.PutAsync("rules/h", """{"kind":"secret"}""");
    }

    [Theory]
    [InlineData("() => { for (;;) {} }", "os_process_error")]
    [InlineData("() => { const all = []; for (;;) { all.push('x'.repeat(1000000)); } }", "os_process_error")]
    [InlineData("() => { let text = 'x'; for (;;) { text += text; } }", "os_process_error")]
    [InlineData("() => { 'x'.repeat(1 << 30); }", "unknown_error")]
    [InlineData("() => { 'x'.padEnd(1 << 30); }", "unknown_error")]
    [InlineData("() => { new Array(1000000).join('x'.repeat(1000000)); }", "unknown_error")]
    [InlineData("() => { const deeper = () => deeper() + 1; deeper(); }", "os_process_error")]
    [InlineData("() => { /^(a+)+$/.test('a'.repeat(40) + '!'); throw { forbidden: 'matched' }; }", null)]
    [InlineData("() => { this.constructor.constructor('return System')(); }", "unknown_error")]
    [InlineData("() => { System.IO.File.ReadAllText('/etc/passwd'); }", "unknown_error")]
    [InlineData("() => { importNamespace('System'); }", "unknown_error")]
    [InlineData("() => { require('fs'); }", "unknown_error")]
    [InlineData("function (", "compilation_error")]
    [InlineData("42", "compilation_error")]
    public async Task A_hostile_function_is_stopped_with_a_reason_and_others_write_meanwhile(string function, string? error)
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("hostile");
        var design = await client.PutAsync("hostile/_design/bad", Validating(function));
        var attack = Task.Run(async () => await client.PostAsync("hostile/_bulk_docs", $$"""{"docs":[{{string.Join(',', Enumerable.Range(0, 50).Select(n => $$"""{"_id":"d{{n}}"}"""))}}]}""", 201));

        using var other = service.ClientOf(service.NewUser());
        await other.PutAsync("hostile");
        for (var n = 0; n < 20; n++)
        {
            await other.PutAsync($"hostile/d{n}", "{}");
        }
        var clock = Stopwatch.StartNew();
        foreach (var row in (await attack).AsArray())
        {
            Assert.True(error is null ? row!["error"] is not null : (string?)row!["error"] == error, row!.ToJsonString());
            Assert.NotEqual("", (string?)row["reason"]);
        }
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), $"It took {clock.Elapsed}.");
        await client.PutAsync("hostile/_design/bad", $$"""{"_rev":"{{design["rev"]}}"}""");
        await client.PutAsync("hostile/d1", "{}");
    }

    [Fact]
    public async Task A_filter_of_a_design_document_chooses_changes_on_all_feeds()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("filters");
        await client.PutAsync("filters/_design/app", Filters(("least", "function (doc, req) { return doc.n >= +req.query.least && req.userCtx.name === '" + _user + "'; }"), ("loop", "() => { for (;;) {} }"), ("bad", "function (")));
        await client.PostAsync("filters/_bulk_docs", $$"""{"docs":[{{string.Join(',', Enumerable.Range(0, 600).Select(n => $$"""{"_id":"d{{n:000}}","n":{{n}}}"""))}}]}""", 201);

        foreach (var feed in new[] { "normal", "longpoll" })
        {
            var page = await client.GetAsync($"filters/_changes?filter=app/least&least=597&feed={feed}");
            Assert.Equal(["d597", "d598", "d599"], page["results"]!.AsArray().Select(row => (string?)row!["id"]));
        }
        foreach (var feed in new[] { "continuous", "eventsource" })
        {
            using var stream = new StreamReader(await client.Http.GetStreamAsync($"filters/_changes?filter=app/least&least=599&feed={feed}&timeout=100"));
            Assert.Contains("\"d599\"", await stream.ReadLineAsync(), StringComparison.Ordinal);
        }
        Assert.Equal("compilation_error", (string?)(await client.GetAsync("filters/_changes?filter=app/bad", 500))["error"]);
        Assert.Equal("os_process_error", (string?)(await client.GetAsync("filters/_changes?filter=app/loop", 500))["error"]);
        await client.GetAsync("filters/_changes?filter=app/none", 404);
        await client.GetAsync("filters/_changes?filter=none/least", 404);
        var told = await client.Http.GetStringAsync("filters/_changes?filter=app/loop&feed=continuous");
        Assert.Contains("os_process_error", told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_admins_of_a_shared_database_write_its_design_documents()
    {
        await using var replica = service.Start(("Sync:Shared:rooms:Admins:0", "admin"));
        var app = $"app-{Guid.NewGuid():n}";
        using var clerk = service.ClientOf(_user, replica.Address, app, "clerk");
        using var admin = service.ClientOf(service.NewUser(), replica.Address, app, "admin");
        await clerk.PutAsync("rooms/_design/rules", Validating(Rules), 403);
        await admin.PutAsync("rooms/_design/rules", Validating("""function (doc, old, user, sec) { if (user.roles.indexOf(sec.admins.roles[0]) < 0) { throw { forbidden: "no admin" }; } }"""));
        await admin.PutAsync("rooms/a", "{}");
        Assert.Equal("no admin", (string?)(await clerk.PutAsync("rooms/b", "{}", 403))["reason"]);
    }

    [Fact]
    public async Task PouchDB_replicates_what_a_filter_lets_through_and_is_told_what_was_refused()
    {
        var told = await RunAsync("pouchdb.mjs", "filtered", service.Gateway.Address.ToString(), Token(_user));
        Assert.Equal(5, told.GetProperty("documents").GetInt32());
    }

    private static string Validating(string function) => new JsonObject { ["validate_doc_update"] = function }.ToJsonString();

    private static string Filters(params (string Name, string Function)[] filters) =>
        JsonSerializer.Serialize(new { filters = filters.ToDictionary(one => one.Name, one => one.Function) });
}
