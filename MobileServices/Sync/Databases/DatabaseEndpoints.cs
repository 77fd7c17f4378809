using System.Text.Json;
using MobileServices.Sync.Changes;
using MobileServices.Sync.Checkpoints;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Revisions;
using MobileServices.Sync.Scripts;

namespace MobileServices.Sync.Databases;

/// <summary>The server and a database as a whole: https://docs.couchdb.org/en/stable/api/database/common.html.</summary>
internal static class DatabaseEndpoints
{
    public static Task WelcomeAsync(HttpContext http) => http.Response.SendAsync(json =>
    {
        json.WriteStartObject();
        json.WriteString("couchdb", "Welcome");
        json.WriteString("version", "3.3.3");
        json.WriteString("uuid", "mobile-integration");
        json.WriteStartObject("vendor");
        json.WriteString("name", "MobileIntegration");
        json.WriteEndObject();
        json.WriteStartArray("features");
        json.WriteEndArray();
        json.WriteEndObject();
    });

    public static Task UpAsync(HttpContext http) => http.Response.SendAsync(json =>
    {
        json.WriteStartObject();
        json.WriteString("status", "ok");
        json.WriteEndObject();
    });

    public static async Task SessionAsync(HttpContext http)
    {
        var call = SyncCall.OfServer(http);
        await http.Response.SendAsync(json =>
        {
            json.WriteStartObject();
            json.WriteBoolean("ok", true);
            json.WriteStartObject("userCtx");
            json.WriteString("name", call.User);
            json.WriteStartArray("roles");
            foreach (var role in call.Roles)
            {
                json.WriteStringValue(role);
            }
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteStartObject("info");
            json.WriteString("authenticated", "jwt");
            json.WriteStartArray("authentication_handlers");
            json.WriteStringValue("jwt");
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndObject();
        });
    }

    public static async Task NamesAsync(HttpContext http, DatabaseStore databases)
    {
        var call = SyncCall.OfServer(http);
        var names = await databases.NamesAsync(call.App, call.User, call.Aborted);
        await http.Response.SendAsync(json =>
        {
            json.WriteStartArray();
            names.ForEach(json.WriteStringValue);
            json.WriteEndArray();
        });
    }

    public static async Task GetAsync(HttpContext http, DatabaseStore databases)
    {
        var call = SyncCall.ToRead(http);
        var database = await databases.FindAsync(call);
        await http.Response.SendAsync(json =>
        {
            json.WriteStartObject();
            json.WriteString("db_name", database.Name);
            json.WriteString("update_seq", database.Sequence(database.UpdateSeq));
            json.WriteString("purge_seq", database.Sequence(database.PurgeSeq));
            json.WriteNumber("doc_count", database.DocCount);
            json.WriteNumber("doc_del_count", database.DeletedCount);
            json.WriteStartObject("sizes");
            json.WriteNumber("file", database.BodyBytes + database.AttachmentBytes);
            json.WriteNumber("external", database.BodyBytes + database.AttachmentBytes);
            json.WriteNumber("active", database.BodyBytes + database.AttachmentBytes);
            json.WriteEndObject();
            json.WriteStartObject("props");
            json.WriteEndObject();
            json.WriteNumber("disk_format_version", 8);
            json.WriteBoolean("compact_running", false);
            json.WriteString("instance_start_time", "0");
            json.WriteEndObject();
        });
    }

    public static async Task PutAsync(HttpContext http, DatabaseStore databases)
    {
        var call = SyncCall.ToWrite(http);
        if (call.IsShared || !await databases.CreateAsync(call.Database, call.Aborted))
        {
            throw new SyncException(412, "file_exists", "The database could not be created, the file already exists.");
        }
        http.Response.Headers.Location = $"{SyncCall.Prefix}/{Uri.EscapeDataString(call.Database.Name)}";
        await http.Response.OkAsync(201);
    }

    public static async Task DeleteAsync(HttpContext http, DatabaseStore databases, ChangeNews news)
    {
        var call = SyncCall.ToOwn(http);
        if (call.Query.Has("rev"))
        {
            throw SyncException.Bad("You tried to DELETE a database with a ?=rev parameter. Did you mean to DELETE a document instead?");
        }
        var id = await databases.DeleteAsync(call.Database, call.Aborted) ?? throw SyncException.NoDatabase();
        // Its feeds end.
        news.Tell(id);
        await http.Response.OkAsync();
    }

    /// <summary>Whatever was acknowledged is on the disk already.</summary>
    public static async Task CommitAsync(HttpContext http, DatabaseStore databases)
    {
        await databases.FindAsync(SyncCall.ToRead(http));
        http.Response.StatusCode = 201;
        await http.Response.SendAsync(json =>
        {
            json.WriteStartObject();
            json.WriteBoolean("ok", true);
            json.WriteString("instance_start_time", "0");
            json.WriteEndObject();
        });
    }

    public static async Task CompactAsync(HttpContext http, DatabaseStore databases, Tombstones tombstones)
    {
        var call = SyncCall.ToOwn(http);
        var database = await databases.FindAsync(call);
        await tombstones.CompactAsync(database.Id, call.Aborted);
        await databases.CompactAsync(database.Id, call.Aborted);
        await http.Response.OkAsync(202);
    }

    public static async Task GetLimitAsync(HttpContext http, DatabaseStore databases)
    {
        var database = await databases.FindAsync(SyncCall.ToRead(http));
        await http.Response.SendAsync(json => json.WriteNumberValue(database.RevsLimit));
    }

    public static async Task PutLimitAsync(HttpContext http, DatabaseStore databases, RequestBodies bodies)
    {
        var call = SyncCall.ToOwn(http);
        using var body = await bodies.ReadAsync(call, emptyIsObject: true);
        if (body.Root.ValueKind is not JsonValueKind.Number || !body.Root.TryGetInt32(out var limit) || limit is < 1 or > SyncOptions.MostRevs)
        {
            throw SyncException.Bad("`_revs_limit` must be a whole number from 1 to 100000.");
        }
        await databases.SetAsync((await databases.FindAsync(call)).Id, "revs_limit", limit, call.Aborted);
        await http.Response.OkAsync();
    }

    public static async Task GetSecurityAsync(HttpContext http, DatabaseStore databases)
    {
        var call = SyncCall.ToRead(http);
        var database = await databases.FindAsync(call);
        await http.Response.SendAsync(json => json.WriteRawValue(DesignFunctions.Security(call.Options, call.Database, database.Security)));
    }

    /// <summary>It is kept and told; who may do what is decided by tokens and settings alone.</summary>
    public static async Task PutSecurityAsync(HttpContext http, DatabaseStore databases, RequestBodies bodies)
    {
        var call = SyncCall.ToOwn(http);
        using var body = await bodies.ReadAsync(call, emptyIsObject: true);
        if (body.IsEmpty)
        {
            throw SyncException.Bad("Request body must be a JSON object");
        }
        CheckSecurity(body.Object);
        var text = body.Object.GetRawText();
        if (text.Length > 65_536)
        {
            throw SyncException.TooLarge("The security object has more than 65536 characters.");
        }
        await databases.SetAsync((await databases.FindAsync(call)).Id, "security", text, call.Aborted);
        await http.Response.OkAsync();
    }

    /// <summary>Names and roles are lists of texts where they are there; other members are anybody's own.</summary>
    private static void CheckSecurity(JsonElement security)
    {
        foreach (var part in (string[])["admins", "members"])
        {
            if (!security.TryGetProperty(part, out var who))
            {
                continue;
            }
            if (who.ValueKind is not JsonValueKind.Object)
            {
                throw SyncException.Bad($"{part} must be a JSON object.");
            }
            foreach (var list in (string[])["names", "roles"])
            {
                if (who.TryGetProperty(list, out var texts) && (texts.ValueKind is not JsonValueKind.Array || texts.EnumerateArray().Any(text => text.ValueKind is not JsonValueKind.String)))
                {
                    throw SyncException.Bad($"{part}.{list} must be a JSON list of strings.");
                }
            }
        }
    }

    /// <summary>Takes revisions out as if they had never been; they are not told of to other peers.</summary>
    public static async Task PurgeAsync(HttpContext http, DatabaseStore databases, Purge purge, RequestBodies bodies)
    {
        var call = SyncCall.ToOwn(http);
        using var body = await bodies.ReadAsync(call);
        var asked = body.Object.EnumerateObject().ToDictionary(member => member.Name, member => SyncQuery.Texts(member.Value, member.Name).ConvertAll(NewDocument.ParseRev), StringComparer.Ordinal);
        var database = await databases.FindAsync(call);
        var purged = await purge.RunAsync(database.Id, asked, call.Aborted);
        http.Response.StatusCode = 201;
        await http.Response.SendAsync(json =>
        {
            json.WriteStartObject();
            json.WriteNull("purge_seq");
            json.WriteStartObject("purged");
            foreach (var (id, revs) in purged)
            {
                json.WriteStartArray(id);
                foreach (Rev rev in revs)
                {
                    json.WriteStringValue(rev.ToString());
                }
                json.WriteEndArray();
            }
            json.WriteEndObject();
            json.WriteEndObject();
        });
    }
}
