using System.Text.Json;
using MobileServices.Sync.Plain;
using MobileServices.Sync.Queries;

namespace MobileServices.Sync.Changes;

internal enum FeedKind
{
    Normal,
    Longpoll,
    Continuous,
    EventSource,
}

/// <summary>What a client asks of the feed of changes.</summary>
internal sealed record ChangeQuery
{
    public FeedKind Feed { get; private init; }

    public string Since { get; private init; } = "0";

    /// <summary>The client holds nothing, and needs no deletions of what it never had; counts for <c>since=0</c>.</summary>
    public bool IsFresh { get; private init; }

    /// <summary>Deletions up to there are left out.</summary>
    public long SkippedUpTo { get; init; }

    public long? Limit { get; private init; }

    public bool Descending { get; private init; }

    public bool AllLeaves { get; private init; }

    public bool IncludeDocs { get; private init; }

    public bool Conflicts { get; private init; }

    public bool Attachments { get; private init; }

    public bool EncodingInfo { get; private init; }

    /// <summary>Every how many rows the sequence is told; the others have null.</summary>
    public long SeqInterval { get; private init; } = 1;

    public TimeSpan? Heartbeat { get; private init; }

    public TimeSpan Timeout { get; private init; }

    public ChangeFilter Filter { get; init; } = ChangeFilter.None;

    /// <summary>Documents without revisions are told, with their ids under that name; null for the protocol's rows.</summary>
    public string? Key { get; private init; }

    /// <summary>The rows after <see cref="Since"/> can be asked for before the database is known. A feed that waits looks for itself.</summary>
    public bool CanGuess => Feed is FeedKind.Normal && !Descending && !IsFresh && Filter.Function is null;

    private const long PlainLimit = 1000;

    /// <summary>The same sequence for clients that know nothing of revisions.</summary>
    public static ChangeQuery ReadPlain(SyncCall call, bool isStream)
    {
        var query = Read(call, null);
        return query with
        {
            Key = PlainDocument.KeyOf(call),
            Feed = isStream ? FeedKind.EventSource : FeedKind.Normal,
            Since = SinceOf(call, null, isStream),
            Limit = isStream ? null : query.Limit ?? PlainLimit,
            Descending = false,
            IncludeDocs = true,
            Heartbeat = isStream ? query.Heartbeat ?? TimeSpan.FromSeconds(call.Options.HeartbeatSeconds) : null,
        };
    }

    public static ChangeQuery Read(SyncCall call, JsonElement? body)
    {
        var query = call.Query;
        var longest = TimeSpan.FromSeconds(call.Options.HeartbeatSeconds);
        TimeSpan? heartbeat = query.Text("heartbeat") switch
        {
            null or "false" or "" => null,
            "true" => longest,
            _ => TimeSpan.FromMilliseconds(Math.Max(100, query.Number("heartbeat")!.Value)),
        };
        var patience = TimeSpan.FromSeconds(call.Options.FeedSeconds);
        var timeout = query.Number("timeout") is { } asked ? TimeSpan.FromMilliseconds(asked) : patience;
        var feed = query.Text("feed") switch
        {
            null or "" or "normal" => FeedKind.Normal,
            "longpoll" => FeedKind.Longpoll,
            "continuous" or "live" => FeedKind.Continuous,
            "eventsource" => FeedKind.EventSource,
            _ => throw SyncException.Bad("Supported `feed` types: normal, continuous, live, longpoll, eventsource"),
        };
        if (feed is FeedKind.EventSource)
        {
            heartbeat ??= longest;
        }
        return new()
        {
            Feed = feed,
            Since = SinceOf(call, body, feed is FeedKind.EventSource),
            // As CouchDB: none is as much as one.
            Limit = query.Number("limit") is { } limit ? Math.Max(1, limit) : null,
            IsFresh = query.Flag("fresh"),
            Descending = query.Flag("descending") && feed is FeedKind.Normal,
            AllLeaves = query.Text("style") switch
            {
                null or "" or "main_only" => false,
                "all_docs" => true,
                _ => throw SyncException.Query("Invalid style: use main_only or all_docs."),
            },
            IncludeDocs = query.Flag("include_docs"),
            Conflicts = query.Flag("conflicts"),
            Attachments = query.Flag("attachments"),
            EncodingInfo = query.Flag("att_encoding_info"),
            SeqInterval = Math.Max(1, query.Number("seq_interval") ?? 1),
            Heartbeat = heartbeat > longest ? longest : heartbeat,
            Timeout = timeout > patience ? patience : timeout,
            Filter = ChangeFilter.Read(call, body),
        };
    }

    private static string SinceOf(SyncCall call, JsonElement? body, bool isEventSource)
    {
        var last = call.Http.Request.Headers["Last-Event-ID"].FirstOrDefault();
        if (isEventSource && last is { Length: > 0 })
        {
            // Who comes again after a break sends the address of before, and how far it is in the header.
            return last;
        }
        return (call.Query.Text("since") ?? (body is { ValueKind: JsonValueKind.Object } sent && sent.TryGetProperty("since", out var since) ? since.ToString() : null)
            ?? last ?? call.Query.Text("last-event-id")) is { Length: > 0 } from ? from : "0";
    }
}

/// <summary>Which documents a feed tells of.</summary>
/// <param name="Ids">Only these; null for all.</param>
/// <param name="Where">Only those whose winner is so.</param>
/// <param name="Function">Only those that a function of a design document lets through: <c>design document/filter</c>.</param>
/// <param name="IsView">It is a view, and lets through what it emits something of.</param>
internal sealed record ChangeFilter(string[]? Ids = null, bool DesignOnly = false, Selector.Condition? Where = null, string? Function = null, bool IsView = false)
{
    public static readonly ChangeFilter None = new();

    public static ChangeFilter Read(SyncCall call, JsonElement? body)
    {
        switch (call.Query.Text("filter"))
        {
            case null or "":
                return call.Query.Texts("doc_ids") is { } given ? new([.. given]) : None;
            case "_doc_ids":
                var ids = body is { ValueKind: JsonValueKind.Object } sent && sent.TryGetProperty("doc_ids", out var list)
                    ? SyncQuery.Texts(list, "doc_ids")
                    : call.Query.Texts("doc_ids");
                return new([.. ids ?? throw SyncException.Bad("`doc_ids` filter parameter is not a list of doc ids.")]);
            case "_design":
                return new(DesignOnly: true);
            case "_selector":
                return new(Where: Selector.Read(body is { ValueKind: JsonValueKind.Object } asked && asked.TryGetProperty("selector", out var selector)
                    ? selector
                    : throw SyncException.Bad("Selector must be specified in POST payload")));
            case "_view":
                return new(Function: call.Query.Text("view") is { } view && view.IndexOf('/', StringComparison.Ordinal) > 0 ? view
                    : throw SyncException.Bad("`view` filter parameter is not provided, or not 'design document/view'."), IsView: true);
            case { } function when function[0] is not '_' && function.IndexOf('/', StringComparison.Ordinal) > 0:
                return new(Function: function);
            default:
                throw new SyncException(404, "not_found", $"There is no filter '{call.Query.Text("filter")}' here. Filters are _doc_ids, _selector, _design, _view and 'design document/filter'.");
        }
    }
}
