namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Documents that are not replicated, such as checkpoints.</summary>
public sealed class LocalDocumentTests(SyncService service) : IClassFixture<SyncService>, IAsyncLifetime
{
    private readonly string _user = service.NewUser();
    private SyncClient _client = null!;

    public async Task InitializeAsync()
    {
        _client = service.ClientOf(_user);
        await _client.PutAsync("notes");
    }

    public Task DisposeAsync()
    {
        _client.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task A_local_document_is_deleted_for_good()
    {
        var rev = (string)(await _client.PutAsync("notes/_local/x", """{"n":1}"""))["rev"]!;
        Assert.Equal("0-0", (string?)(await _client.DeleteAsync($"notes/_local/x?rev={rev}"))["rev"]);
        await _client.GetAsync("notes/_local/x", 404);
        await _client.DeleteAsync("notes/_local/x", 404);
        Assert.Equal("0-1", (string?)(await _client.PutAsync("notes/_local/x", "{}"))["rev"]);
    }

    [Fact]
    public async Task A_local_document_that_is_written_as_deleted_is_deleted()
    {
        await _client.PutAsync("notes/_local/x", """{"n":1}""");
        Assert.Equal("conflict", (string?)(await _client.PutAsync("notes/_local/x", """{"_deleted":true,"_rev":"0-7"}""", 409))["error"]);
        Assert.Equal("doc_validation", (string?)(await _client.PutAsync("notes/_local/x", """{"_deleted":"yes","_rev":"0-1"}""", 400))["error"]);
        Assert.Equal(1, (int)(await _client.GetAsync("notes/_local/x"))["n"]!);
        Assert.Equal("0-0", (string?)(await _client.PutAsync("notes/_local/x", """{"_deleted":true,"_rev":"0-1"}""", 200))["rev"]);
        await _client.GetAsync("notes/_local/x", 404);
    }

    [Fact]
    public async Task A_bulk_deletes_local_documents_too()
    {
        await _client.PutAsync("notes/_local/x", "{}");
        await _client.PutAsync("notes/_local/y", "{}");
        var rows = (await _client.PostAsync("notes/_bulk_docs", """
            {"docs":[{"_id":"_local/x","_rev":"0-1","_deleted":true},{"_id":"_local/y","_rev":"0-2","_deleted":true},{"_id":"_local/z","_deleted":true},{"_id":"_local/w","_deleted":false}]}
            """, 201)).AsArray();
        Assert.Equal(["0-0", "conflict", "0-0", "0-1"], rows.Select(row => (string?)row!["error"] ?? (string?)row["rev"]));
        await _client.GetAsync("notes/_local/x", 404);
        await _client.GetAsync("notes/_local/y");
        Assert.Null((await _client.GetAsync("notes/_local/w"))["_deleted"]);
    }

    [Fact]
    public async Task A_local_document_is_no_larger_than_any_other()
    {
        var large = $"\"a\":\"{new string('x', 1_100_000)}\"";
        Assert.Equal("too_large", (string?)(await _client.PutAsync("notes/_local/x", $"{{{large}}}", 413))["error"]);
        var rows = (await _client.PostAsync("notes/_bulk_docs", $$"""{"docs":[{"_id":"_local/x",{{large}}},{"_id":"a"}]}""", 201)).AsArray();
        Assert.Equal(["too_large", null], rows.Select(row => (string?)row!["error"]));
        await _client.GetAsync("notes/_local/x", 404);
    }

    [Fact]
    public async Task There_are_as_many_as_there_may_be_whoever_writes_at_once_and_who_deletes_makes_room()
    {
        await using var small = service.Start(("Sync:MostLocalDocuments", "5"));
        using var client = service.ClientOf(_user, small.Address);
        await client.PutAsync("notes/_local/before", "{}");
        await client.DeleteAsync("notes/_local/before");
        var told = await service.AllAtOnceAsync(
            "select 1 from sync.local_total t join sync.database d on d.id = t.db_id where d.owner = $1 for update of t", _user, 12, () => Task.WhenAll(Enumerable.Range(0, 12).Select(async n =>
        {
            using var response = await client.Http.PutAsync($"notes/_local/l{n}", SyncClient.Json("{}"));
            return (int)response.StatusCode;
        })));
        Assert.Equal((5, 7), (told.Count(status => status is 201), told.Count(status => status is 413)));
        var rows = (await client.GetAsync("notes/_local_docs"))["rows"]!.AsArray();
        Assert.Equal(5, rows.Count);
        var first = (string)rows[0]!["id"]!;
        await client.PutAsync($"notes/{first}", """{"_rev":"0-1","n":1}""");
        var row = (await client.PostAsync("notes/_bulk_docs", """{"docs":[{"_id":"_local/more"},{"_id":"a"}]}""", 201)).AsArray();
        Assert.Equal(["too_large", null], row.Select(one => (string?)one!["error"]));
        await client.DeleteAsync($"notes/{first}");
        await client.PutAsync("notes/_local/more", "{}");
    }

    [Fact]
    public async Task They_take_no_more_room_than_they_may()
    {
        await using var small = service.Start(("Sync:MostLocalBytes", "3000"));
        using var client = service.ClientOf(_user, small.Address);
        string Body(int bytes, string rev) => $$"""{"_rev":"{{rev}}","a":"{{new string('x', bytes)}}"}""";
        await client.PutAsync("notes/_local/x", Body(2000, "0-0"));
        Assert.Contains("Sync:MostLocalBytes", (string?)(await client.PutAsync("notes/_local/y", Body(2000, "0-0"), 413))["reason"], StringComparison.Ordinal);
        await client.GetAsync("notes/_local/y", 404);
        await client.PutAsync("notes/_local/x", Body(3500, "0-1"), 413);
        Assert.Equal("0-1", (string?)(await client.GetAsync("notes/_local/x"))["_rev"]);
        await client.PutAsync("notes/_local/x", Body(10, "0-1"));
        await client.PutAsync("notes/_local/y", Body(2000, "0-0"));
        Assert.Equal(1, await service.CountAsync("""
            select count(*) from sync.local_total t join sync.database d on d.id = t.db_id
            where d.owner = $1 and (t.documents, t.bytes) = (select count(*), sum(octet_length(body)) from sync.local_document l where l.db_id = t.db_id)
            """, _user));
    }

    [Fact]
    public async Task All_are_listed_with_their_bodies_for_who_wants_them()
    {
        var large = new string('x', 300_000);
        foreach (var some in Enumerable.Range(0, 1100).Chunk(550))
        {
            var docs = some.Select(n => $$"""{"_id":"_local/{{n:0000}}","n":{{n}}{{(n % 100 is 0 ? $",\"a\":\"{large}\"" : "")}}}""");
            await _client.PostAsync("notes/_bulk_docs", $$"""{"docs":[{{string.Join(',', docs)}}]}""", 201);
        }
        var expected = Enumerable.Range(0, 1100).Select(n => $"_local/{n:0000}");
        Assert.Equal(expected, (await _client.GetAsync("notes/_local_docs"))["rows"]!.AsArray().Select(row => (string)row!["id"]!));
        var rows = (await _client.GetAsync("notes/_local_docs?include_docs=true"))["rows"]!.AsArray();
        Assert.Equal(expected, rows.Select(row => (string)row!["doc"]!["_id"]!));
        Assert.Equal(Enumerable.Range(0, 1100), rows.Select(row => (int)row!["doc"]!["n"]!));
    }
}
