using System.Text.Json;
using Microsoft.AspNetCore.Http.Timeouts;
using MobileServices.Sync.Checkpoints;
using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Scripts;

namespace MobileServices.Sync.Changes;

/// <summary>The feed of changes: https://docs.couchdb.org/en/stable/api/database/changes.html.</summary>
internal sealed class ChangesEndpoints(DatabaseStore databases, FeedServices services, SyncOutcomes outcomes, DeviceStates devices, SyncMetrics metrics, DocumentStore documents, IHostApplicationLifetime lifetime)
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

    public static Task PullAsync(HttpContext http, ChangesEndpoints changes) => PlainAsync(http, changes, isStream: false);

    public static Task StreamAsync(HttpContext http, ChangesEndpoints changes) => PlainAsync(http, changes, isStream: true);

    private static Task PlainAsync(HttpContext http, ChangesEndpoints changes, bool isStream)
    {
        var call = SyncCall.ToRead(http);
        return changes.AnswerAsync(call, ChangeQuery.ReadPlain(call, isStream));
    }

    private async Task AnswerAsync(SyncCall call, ChangeQuery query)
    {
        var guess = query.CanGuess ? DatabaseRow.Guess(query.Since) : null;
        var (row, page) = await services.Reader.OpenAsync(call.Database, guess, query.Limit ?? long.MaxValue, query, call.Aborted);
        var database = row ?? await databases.FindAsync(call);
        if (query.Filter.Function is not null)
        {
            query = query with { Filter = query.Filter with { Where = await DesignFunctions.FilterAsync(call, query, database, documents) } };
        }
        var (since, floor) = database.SequenceOf(query.Since);
        page = since == guess && !floor.IsFresh ? page : null;
        try
        {
            await AnswerAsync(call, query, database, since, since > 0 ? floor : query.IsFresh ? new(database.UpdateSeq, true) : new(database.Horizon, false), page);
        }
        catch (SyncException failure) when (failure.Status is 410)
        {
            metrics.Resync();
            throw;
        }
    }

    private async Task AnswerAsync(SyncCall call, ChangeQuery query, DatabaseRow database, long since, Floor floor, ChangePage? page)
    {
        database.CheckHorizon(since, floor, database.Horizon);
        if (query.Since is not "now")
        {
            outcomes.Note(call, database.Id, since);
        }
        if (query.Since is not "now" && !query.Descending)
        {
            devices.Asked(call, database.Id, since);
        }
        query = query with { SkippedUpTo = floor.IsFresh ? floor.Seq : 0 };
        var feed = new ChangeFeed(services, call, query, database, since, floor, page);
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
        catch (SyncException failure) when (call.Http.Response.HasStarted)
        {
            // A filter failed: too late for a status, and not for the reason.
            await call.Http.Response.WriteAsync(JsonSerializer.Serialize(new { error = failure.Error, reason = failure.Message }) + "\n", call.Aborted);
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
