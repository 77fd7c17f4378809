using System.Text.Json;
using MobileIntegration.ServiceDefaults;
using MobileServices.Sync.Admin;
using MobileServices.Sync.Attachments;
using MobileServices.Sync.Bound;
using MobileServices.Sync.Changes;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Indexes;
using MobileServices.Sync.Plain;
using MobileServices.Sync.Queries;
using MobileServices.Sync.Views;

namespace MobileServices.Sync;

/// <summary>The CouchDB replication protocol, version 3: https://docs.couchdb.org/en/stable/replication/protocol.html.</summary>
public static class SyncEndpoints
{
    private static readonly string[] Read = ["GET", "HEAD"];
    private static readonly string[] Copy = ["COPY"];

    public static void MapSync(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        endpoints.MapGroup($"{SyncCall.Prefix}/_admin").WithTags("Synchronization: administration").RequireScope(Scopes.SyncAdmin).MapSyncAdmin();
        var sync = endpoints.MapGroup(SyncCall.Prefix).WithTags("Synchronization").RequireScope(Scopes.Sync).AddEndpointFilter(SyncAnswers.FilterAsync).AddEndpointFilter(BoundDatabases.FilterAsync);
        MapServer(sync);
        MapDatabases(sync);
        MapReplication(sync);
        MapPlain(sync);
        MapQueries(sync);
        MapDocuments(sync.MapGroup("/{database}"));
        sync.MapBound();
    }

    private static void MapServer(RouteGroupBuilder sync)
    {
        sync.MapMethods("/", Read, (Delegate)DatabaseEndpoints.WelcomeAsync).WithSummary("Says which protocol is spoken").Answers();
        sync.MapMethods("/_up", Read, (Delegate)DatabaseEndpoints.UpAsync).WithSummary("Says that the service is there").Answers();
        sync.MapGet("/_session", (Delegate)DatabaseEndpoints.SessionAsync).WithSummary("Whose access token it is").Answers();
        sync.MapGet("/_all_dbs", DatabaseEndpoints.NamesAsync).WithSummary("The caller's own databases").Answers();
    }

    private static void MapDatabases(RouteGroupBuilder sync)
    {
        sync.MapMethods("/{database}", Read, DatabaseEndpoints.GetAsync).WithSummary("A database: how many documents it has, and how far its sequence is").Answers();
        sync.MapPut("/{database}", DatabaseEndpoints.PutAsync).WithSummary("Creates a database of the caller's own").Answers(201).Refuses(412);
        sync.MapDelete("/{database}", DatabaseEndpoints.DeleteAsync).WithSummary("Deletes a database of the caller's own with all that is in it").Answers();
        sync.MapGet("/{database}/_revs_limit", DatabaseEndpoints.GetLimitAsync).WithSummary("How many revisions back the database remembers").Answers();
        sync.MapPut("/{database}/_revs_limit", DatabaseEndpoints.PutLimitAsync).WithSummary("Sets how many revisions back the database remembers").Answers();
        sync.MapGet("/{database}/_security", DatabaseEndpoints.GetSecurityAsync).WithSummary("The security object; tokens and settings decide, not it").Answers();
        sync.MapPut("/{database}/_security", DatabaseEndpoints.PutSecurityAsync).WithSummary("Keeps a security object").Answers();
        sync.MapPost("/{database}/_compact", DatabaseEndpoints.CompactAsync).WithSummary("Throws away the bodies of revisions that are no leaves, and tombstones that every device has").Answers(202);
        sync.MapPost("/{database}/_purge", DatabaseEndpoints.PurgeAsync).WithSummary("Takes revisions out for good").Answers(201);
        sync.MapPost("/{database}/_ensure_full_commit", DatabaseEndpoints.CommitAsync).WithSummary("Whatever was acknowledged is on the disk already").Answers(201);
    }

    private static void MapReplication(RouteGroupBuilder sync)
    {
        sync.MapGet("/{database}/_changes", ChangesEndpoints.GetAsync).DisableRateLimiting()
            .WithSummary("Changes in the order of their commits: normal, longpoll, continuous or eventsource").Answers().Refuses(503);
        sync.MapPost("/{database}/_changes", ChangesEndpoints.PostAsync).DisableRateLimiting()
            .WithSummary("The same, with a body for filters: doc_ids").Answers().Refuses(503);
        sync.MapPost("/{database}/_revs_diff", BulkEndpoints.DiffAsync).WithSummary("Which of the revisions are not here").Answers();
        sync.MapPost("/{database}/_missing_revs", BulkEndpoints.MissingAsync).WithSummary("The same, as it was asked earlier").Answers();
        sync.MapPost("/{database}/_bulk_docs", BulkEndpoints.WriteAsync).WithSummary("Writes many documents; new_edits=false takes them in with their revisions")
            .Answers(201).Refuses(413);
        sync.MapPost("/{database}/_bulk_get", BulkGet.PostAsync).WithSummary("Reads many revisions, as JSON or in parts").Answers();
        sync.MapGet("/{database}/_all_docs", AllDocs.GetAsync).WithSummary("The documents in the order of their ids").Answers();
        sync.MapPost("/{database}/_all_docs", AllDocs.PostAsync).WithSummary("The same, with a body for keys").Answers();
        sync.MapGet("/{database}/_design_docs", AllDocs.DesignDocsAsync).WithSummary("The design documents").Answers();
        sync.MapGet("/{database}/_local_docs", static (HttpContext http, LocalDocuments local) => local.ListAsync(SyncCall.ToRead(http)))
            .WithSummary("The documents that are not replicated").Answers();
    }

    /// <summary>For clients without a library of the protocol.</summary>
    private static void MapPlain(RouteGroupBuilder sync)
    {
        sync.MapGet("/{database}/_pull", ChangesEndpoints.PullAsync).WithSummary("Documents that have changed after a checkpoint, without revisions").Answers().Refuses(410);
        sync.MapGet("/{database}/_stream", ChangesEndpoints.StreamAsync).DisableRateLimiting().WithSummary("The same as server-sent events, as they change").Answers().Refuses(410).Refuses(503);
        sync.MapPost("/{database}/_push", PlainPush.PostAsync).WithSummary("Writes documents that nobody else has changed meanwhile; what has been is told back").Answers().Refuses(413);
    }

    private static void MapQueries(RouteGroupBuilder sync)
    {
        sync.MapPost("/{database}/_find", Find.PostAsync).WithSummary("Documents by a selector").Answers();
        sync.MapPost("/{database}/_explain", Find.ExplainAsync).WithSummary("Which index a query of _find takes").Answers();
        sync.MapGet("/{database}/_index", MangoIndexes.GetAsync).WithSummary("The indexes of fields").Answers();
        sync.MapPost("/{database}/_index", MangoIndexes.PostAsync).WithSummary("Creates an index of fields, in a design document").Answers();
        sync.MapDelete("/{database}/_index/{**index}", MangoIndexes.DeleteAsync).WithSummary("Deletes an index: design document, json, name").Answers();
        sync.MapGet("/{database}/_design/{id}/_view/{view}", ViewEndpoints.GetAsync).WithSummary("The rows of a view, or what its reduce function makes of them").Answers();
        sync.MapPost("/{database}/_design/{id}/_view/{view}", ViewEndpoints.PostAsync).WithSummary("The same, with a body for keys").Answers();
        sync.MapGet("/{database}/_design/{id}/_info", ViewEndpoints.InfoAsync).WithSummary("How far the views of a design document are").Answers();
        sync.MapPost("/{database}/_view_cleanup", ViewEndpoints.CleanAsync).WithSummary("Removes the indexes that no design document defines any more").Answers(202);
    }

    private static void MapDocuments(RouteGroupBuilder database)
    {
        database.MapPost("", DocumentEndpoints.PostAsync).WithSummary("Creates a document").Answers(201).Refuses(409);
        // The same by another name, and in the document once.
        var again = database.MapGroup("").ExcludeFromDescription();
        foreach (var (path, group) in new[] { ("/{id}", database), ("/_design/{id}", again), ("/_local/{id}", again) })
        {
            group.MapMethods(path, Read, DocumentEndpoints.GetAsync).WithSummary("A document, or several revisions of it (open_revs)").Answers();
            group.MapPut(path, DocumentEndpoints.PutAsync).WithSummary("Writes a document").Answers(201).Refuses(409).Refuses(412).Refuses(413);
            group.MapDelete(path, DocumentEndpoints.DeleteAsync).WithSummary("Deletes a document: a tombstone stays").Answers().Refuses(409);
            group.MapMethods(path, Copy, DocumentEndpoints.CopyAsync).ExcludeFromDescription();
        }
        foreach (var (path, group) in new[] { ("/{id}/{**attachment}", database), ("/_design/{id}/{**attachment}", again) })
        {
            group.MapMethods(path, Read, AttachmentEndpoints.GetAsync).WithSummary("An attachment, or a range of it").Produces(200, contentType: "application/octet-stream").Refuses(400).Refuses(404).Refuses(416);
            group.MapPut(path, AttachmentEndpoints.PutAsync).WithSummary("Writes an attachment").Answers(201).Refuses(409).Refuses(413).Refuses(415);
            group.MapDelete(path, AttachmentEndpoints.DeleteAsync).WithSummary("Deletes an attachment").Answers().Refuses(409);
        }
    }

    private static RouteHandlerBuilder Answers(this RouteHandlerBuilder endpoint, int status = 200) =>
        endpoint.Produces<JsonElement>(status).Refuses(400).Refuses(403).Refuses(404);

    /// <summary>In the protocol's own shape.</summary>
    private static RouteHandlerBuilder Refuses(this RouteHandlerBuilder endpoint, int status) => endpoint.Produces<SyncRefusal>(status);
}

/// <summary>How the protocol says no.</summary>
internal sealed record SyncRefusal(string Error, string Reason);
