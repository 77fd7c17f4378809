using Microsoft.AspNetCore.Http.Timeouts;
using MobileServices.Sync.Databases;

namespace MobileServices.Sync.Changes;

/// <summary>The feed of changes: https://docs.couchdb.org/en/stable/api/database/changes.html.</summary>
internal sealed class ChangesEndpoints(DatabaseStore databases, FeedServices services, SyncOutcomes outcomes, SyncMetrics metrics, IHostApplicationLifetime lifetime)
{
    public static Task GetAsync(HttpContext http, ChangesEndpoints changes)
    {
        var call = SyncCall.ToRead(http);
        return changes.AnswerAsync(call, ChangeQuery.Read(call, null));
    }

    public static async Task PostAsync(HttpContext http, ChangesEndpoints changes, RequestBodies bodies)
    {
        var call = SyncCall.ToRead(http);
        ChangeQuery query;
        using (var body = await bodies.ReadAsync(call, emptyIsObject: true))
        {
            query = ChangeQuery.Read(call, body.Root);
        }
        await changes.AnswerAsync(call, query);
    }

    private async Task AnswerAsync(SyncCall call, ChangeQuery query)
    {
        var database = await databases.FindAsync(call);
        var since = database.SequenceOf(query.Since);
        if (query.Since is not "now")
        {
            outcomes.Note(call, database.Id, since);
        }
        var feed = new ChangeFeed(services, call, query, database, since);
        if (query.Feed is FeedKind.Normal)
        {
            await feed.NormalAsync(call.Aborted);
            return;
        }
        try
        {
            if (metrics.FeedOpens() > call.Options.MostFeeds)
            {
                call.Http.Response.Headers.RetryAfter = "30";
                throw new SyncException(503, "service_unavailable", "This service holds as many feeds as it may (Sync:MostFeeds). Try again later.");
            }
            call.Http.Features.Get<IHttpRequestTimeoutFeature>()?.DisableTimeout();
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(call.Aborted, lifetime.ApplicationStopping);
            await feed.LiveAsync(ending.Token);
        }
        catch (OperationCanceledException) when (call.Aborted.IsCancellationRequested || lifetime.ApplicationStopping.IsCancellationRequested)
        {
            // The client is gone, or the service goes: it asks again, another replica.
        }
        finally
        {
            metrics.FeedCloses();
        }
    }
}
