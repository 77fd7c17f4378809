using MobileServices.Sync.Databases;
using MobileServices.Sync.Documents;
using MobileServices.Sync.Plain;

namespace MobileServices.Sync.Changes;

/// <summary>What a feed works with.</summary>
internal sealed record FeedServices(ChangeReader Reader, ChangeNews News, DocumentJson Documents, SyncMetrics Metrics, TimeProvider Time);

/// <summary>One feed while it is open.</summary>
/// <param name="page">The first, when it was read with the database.</param>
internal sealed class ChangeFeed(FeedServices all, SyncCall call, ChangeQuery query, DatabaseRow database, long since, Floor floor, ChangePage? page)
{
    private readonly JsonOut _json = new(call.Http.Response);
    private DatabaseRow _database = database;
    private long _since = since;
    private long _left = query.Limit ?? long.MaxValue;
    private long _rows;
    private bool _isListed;

    public async Task NormalAsync(CancellationToken ct)
    {
        Begin("application/json");
        _json.Raw(query.Key is null ? "{\"results\":[\n"u8 : "{\"documents\":[\n"u8);
        await RowsAsync(page, ct);
        await EndAsync(ct);
    }

    public async Task LiveAsync(CancellationToken ct)
    {
        using var watch = all.News.Open(_database.Id);
        var lists = query.Feed is FeedKind.Longpoll;
        Begin(query.Feed is FeedKind.EventSource ? "text/event-stream" : "application/json");
        call.Http.Response.Headers["X-Accel-Buffering"] = "no";
        _json.Raw(lists ? "{\"results\":[\n"u8 : ""u8);
        await _json.FlushAsync(ct);
        var quiet = all.Time.GetTimestamp();
        while (true)
        {
            var next = watch.Next;
            var (now, first) = await all.Reader.OpenAsync(call.Database, query.SkippedUpTo > _since ? null : _since, _left, query, ct);
            if (now is null || now.Id != _database.Id)
            {
                break;
            }
            now.CheckHorizon(_since, floor, now.Horizon);
            _database = now;
            var before = _rows;
            await RowsAsync(first, ct);
            if (_left <= 0 || (lists && _rows > 0))
            {
                break;
            }
            if (_rows > before)
            {
                await _json.FlushAsync(ct);
                quiet = all.Time.GetTimestamp();
            }
            if (!await WaitAsync(next, quiet, ct))
            {
                break;
            }
        }
        if (lists)
        {
            await EndAsync(ct);
        }
        else if (query.Feed is FeedKind.Continuous)
        {
            _json.Raw("{\"last_seq\":\""u8);
            _json.Raw(_database.Sequence(_since, floor));
            _json.Raw("\",\"pending\":0}\n"u8);
            await _json.FlushAsync(ct);
        }
    }

    /// <summary>Until there may be something new, with heartbeats meanwhile.</summary>
    /// <returns>False when the feed has waited as long as it may.</returns>
    private async Task<bool> WaitAsync(Task next, long quiet, CancellationToken ct)
    {
        var poll = TimeSpan.FromSeconds(call.Options.PollSeconds);
        var began = all.Time.GetTimestamp();
        while (true)
        {
            var patience = poll - all.Time.GetElapsedTime(began);
            if (patience <= TimeSpan.Zero)
            {
                return true;
            }
            if (query.Heartbeat is { } heartbeat)
            {
                patience = patience < heartbeat ? patience : heartbeat;
            }
            else
            {
                var rest = query.Timeout - all.Time.GetElapsedTime(quiet);
                if (rest <= TimeSpan.Zero)
                {
                    return false;
                }
                patience = patience < rest ? patience : rest;
            }
            try
            {
                await next.WaitAsync(patience, all.Time, ct);
                return true;
            }
            catch (TimeoutException)
            {
                if (query.Heartbeat is not null)
                {
                    _json.Raw(query.Feed is FeedKind.EventSource ? "event: heartbeat\ndata: \n\n"u8 : "\n"u8);
                    await _json.FlushAsync(ct);
                }
            }
        }
    }

    private void Begin(string type) => call.Http.Response.ContentType = type;

    private async Task RowsAsync(ChangePage? first, CancellationToken ct)
    {
        var upTo = _database.UpdateSeq;
        var after = query.Descending ? upTo + 1 : _since;
        while (_left > 0 && (query.Descending || after < upTo))
        {
            var next = first ?? await all.Reader.PageAsync(_database.Id, after, query.Descending ? _since : upTo, _left, query, ct);
            first = null;
            _database.CheckHorizon(_since, floor, next.Horizon);
            foreach (var row in next.Rows)
            {
                await RowAsync(row, ct);
                _left--;
            }
            after = next.Last;
            all.Metrics.Sent(next.Rows.Count);
            if (next.IsLast)
            {
                break;
            }
        }
        // With a limit there may be more; without, nothing up to there is left out, by the filter or otherwise.
        _since = _left > 0 && !query.Descending ? upTo : after;
    }

    private async Task RowAsync(StoredDocument row, CancellationToken ct)
    {
        if (query.Feed is FeedKind.EventSource)
        {
            _json.Raw("data: "u8);
        }
        else if (_isListed && query.Feed is not FeedKind.Continuous)
        {
            _json.Raw(",\n"u8);
        }
        _isListed = true;
        _rows++;
        if (query.Key is { } key)
        {
            await PlainAsync(row, key, ct);
            return;
        }
        _json.Raw("{\"seq\":"u8);
        if (_rows % query.SeqInterval is 0 || _left is 1)
        {
            _json.Raw("\""u8);
            _json.Raw(_database.Sequence(row.Seq, floor));
            _json.Raw("\""u8);
        }
        else
        {
            _json.Raw("null"u8);
        }
        _json.Raw(",\"id\":"u8);
        _json.Text(row.Id);
        _json.Raw(",\"changes\":[{\"rev\":\""u8);
        _json.Raw(row.Rev);
        _json.Raw("\"}"u8);
        if (query.AllLeaves)
        {
            foreach (var (rev, _) in row.Losers())
            {
                _json.Raw(",{\"rev\":\""u8);
                _json.Raw(rev);
                _json.Raw("\"}"u8);
            }
        }
        _json.Raw(row.Deleted ? "],\"deleted\":true"u8 : "]"u8);
        if (query.IncludeDocs)
        {
            _json.Raw(",\"doc\":"u8);
            await all.Documents.WriteAsync(_json, row, row.Winner, new(Conflicts: query.Conflicts, Attachments: query.Attachments) { EncodingInfo = query.EncodingInfo }, ct);
        }
        _json.Raw("}"u8);
        if (query.Feed is FeedKind.Continuous)
        {
            _json.Raw("\n"u8);
        }
        else if (query.Feed is FeedKind.EventSource)
        {
            EndEvent(row);
        }
        await _json.SendSomeAsync(ct);
    }

    private async Task PlainAsync(StoredDocument row, string key, CancellationToken ct)
    {
        if (query.Feed is not FeedKind.EventSource)
        {
            PlainDocument.Write(_json, key, row.Id, row.Deleted, row.Body);
            await _json.SendSomeAsync(ct);
            return;
        }
        _json.Raw("{\"documents\":["u8);
        PlainDocument.Write(_json, key, row.Id, row.Deleted, row.Body);
        _json.Raw("],\"checkpoint\":\""u8);
        _json.Raw(_database.Sequence(row.Seq, floor));
        _json.Raw("\"}"u8);
        EndEvent(row);
        await _json.SendSomeAsync(ct);
    }

    private void EndEvent(StoredDocument row)
    {
        _json.Raw("\nid: "u8);
        _json.Raw(_database.Sequence(row.Seq, floor));
        _json.Raw("\n\n"u8);
    }

    private async Task EndAsync(CancellationToken ct)
    {
        _json.Raw(query.Key is null ? "\n],\n\"last_seq\":\""u8 : "\n],\n\"checkpoint\":\""u8);
        _json.Raw(_database.Sequence(_since, floor));
        // At most so many: a document that changed more than once is counted for each time.
        _json.Raw("\",\"pending\":"u8);
        _json.Number(query.Descending ? 0 : Math.Max(0, _database.UpdateSeq - _since));
        _json.Raw("}\n"u8);
        await _json.SendAsync(ct);
    }
}
