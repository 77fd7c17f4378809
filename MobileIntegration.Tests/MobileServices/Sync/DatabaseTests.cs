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

    [Fact]
    public async Task The_security_object_is_kept_as_it_was_sent_and_what_is_none_changes_nothing()
    {
        using var client = service.ClientOf(_user);
        Assert.Equal("not_found", (string?)(await client.GetAsync("notes/_security", 404))["error"]);
        Assert.Equal("not_found", (string?)(await client.PutAsync("notes/_security", "{}", 404))["error"]);
        await client.PutAsync("notes");
        Assert.Equal("{}", (await client.GetAsync("notes/_security")).ToJsonString());
        const string Sent = """{"admins":{"names":["ada"],"roles":[]},"members":{"roles":["x"]},"mine":{"a":1.50}}""";
        Assert.True((bool)(await client.PutAsync("notes/_security", Sent, 200))["ok"]!);
        foreach (var bad in new[]
        {
            "", "[]", "null", "7", "{", """{"admins":[]}""", """{"members":null}""", """{"admins":{"names":"ada"}}""", """{"admins":{"roles":null}}""",
            """{"members":{"names":[1]}}""", """{"members":{"roles":[["x"]]}}""", """{"members":{},"members":{}}""",
        })
        {
            Assert.Equal("bad_request", (string?)(await client.PutAsync("notes/_security", bad, 400))["error"]);
        }
        Assert.Equal("too_large", (string?)(await client.PutAsync("notes/_security", $$"""{"a":"{{new string('x', 70_000)}}"}""", 413))["error"]);
        Assert.Equal(Sent, (await client.Http.GetStringAsync("notes/_security")).TrimEnd());
    }

    [Fact]
    public async Task A_security_object_decides_nothing_neither_for_the_owner_nor_for_others()
    {
        var (owner, stranger) = (service.NewUser(), service.NewUser());
        using var client = service.ClientOf(owner);
        using var other = service.ClientOf(stranger);
        await client.PutAsync("notes");
        await client.PutAsync("notes/a", "{}");
        // It lets the stranger in and the owner out.
        await client.PutAsync("notes/_security", $$$"""{"admins":{"names":["{{{stranger}}}"],"roles":[]},"members":{"names":["{{{stranger}}}"],"roles":[]}}""", 200);
        foreach (var path in new[] { "notes", "notes/a", "notes/_security", "notes/_changes" })
        {
            await client.GetAsync(path);
            Assert.Equal("Database does not exist.", (string?)(await other.GetAsync(path, 404))["reason"]);
        }
        Assert.Equal("Database does not exist.", (string?)(await other.PutAsync("notes/_security", "{}", 404))["reason"]);
        Assert.Equal("Database does not exist.", (string?)(await other.PutAsync("notes/b", "{}", 404))["reason"]);
        await client.PutAsync("notes/_design/d", "{}");
        // Functions are told of it, as in CouchDB.
        await client.PutAsync("notes/_design/d2", """{"validate_doc_update":"function (doc, old, user, sec) { throw { forbidden: sec.admins.names[0] }; }"}""");
        Assert.Equal(stranger, (string?)(await client.PutAsync("notes/b", "{}", 403))["reason"]);
    }

    [Fact]
    public async Task Of_a_shared_database_the_settings_are_the_security_object_and_no_client_writes_it()
    {
        using var clerk = service.ClientOf(_user, roles: ["clerk", "reader"]);
        using var reader = service.ClientOf(service.NewUser(), roles: "reader");
        using var nobody = service.ClientOf(service.NewUser());
        var told = await reader.GetAsync("news/_security");
        Assert.Equal(["reader"], told["members"]!["roles"]!.AsArray().Select(role => (string)role!));
        foreach (var client in new[] { clerk, reader })
        {
            Assert.Equal("forbidden", (string?)(await client.PutAsync("news/_security", """{"members":{"names":[],"roles":[]}}""", 403))["error"]);
        }
        Assert.Equal("forbidden", (string?)(await nobody.GetAsync("news/_security", 403))["error"]);
        await nobody.GetAsync("news", 403);
        Assert.Equal(told.ToJsonString(), (await reader.GetAsync("news/_security")).ToJsonString());
    }
}
