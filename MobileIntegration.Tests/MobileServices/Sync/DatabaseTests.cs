using System.Net;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>The server and a database as a whole.</summary>
public sealed class DatabaseTests(SyncService service) : IClassFixture<SyncService>
{
    private readonly string _user = service.NewUser();

    [Fact]
    public async Task The_server_says_what_it_speaks_and_who_calls()
    {
        using var client = service.ClientOf(_user, roles: "clerk");
        Assert.Equal("Welcome", (string?)(await client.GetAsync(""))["couchdb"]);
        var session = await client.GetAsync("_session");
        Assert.True((bool)session["ok"]!);
        Assert.Equal(_user, (string?)session["userCtx"]!["name"]);
        Assert.Equal(["clerk"], session["userCtx"]!["roles"]!.AsArray().Select(role => (string)role!));
    }

    [Fact]
    public async Task The_head_of_a_database_tells_whether_it_is_there()
    {
        using var client = service.ClientOf(_user);
        Assert.Equal(HttpStatusCode.NotFound, await HeadAsync());
        await client.PutAsync("notes");
        Assert.Equal(HttpStatusCode.OK, await HeadAsync());

        async Task<HttpStatusCode> HeadAsync()
        {
            using var head = await client.Http.SendAsync(new(HttpMethod.Head, "notes"));
            Assert.Empty(await head.Content.ReadAsByteArrayAsync());
            return head.StatusCode;
        }
    }

    [Fact]
    public async Task What_was_acknowledged_is_committed_already()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("notes");
        var committed = await client.PostAsync("notes/_ensure_full_commit", "{}", 201);
        Assert.True((bool)committed["ok"]!);
        Assert.Equal("0", (string?)committed["instance_start_time"]);
    }

    [Fact]
    public async Task All_documents_come_with_the_sequence_when_it_is_asked_for()
    {
        using var client = service.ClientOf(_user);
        await client.PutAsync("notes");
        await client.PutAsync("notes/a", "{}");
        Assert.Equal((string)(await client.GetAsync("notes"))["update_seq"]!, (string?)(await client.GetAsync("notes/_all_docs?update_seq=true"))["update_seq"]);
        Assert.Null((await client.GetAsync("notes/_all_docs"))["update_seq"]);
    }
}
