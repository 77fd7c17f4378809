namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Documents that are not replicated, such as checkpoints.</summary>
public sealed class LocalDocumentTests(SyncService service) : IClassFixture<SyncService>, IAsyncLifetime
{
    private readonly SyncClient _client = service.ClientOf(service.NewUser());

    public async Task InitializeAsync() => await _client.PutAsync("notes");

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
}
