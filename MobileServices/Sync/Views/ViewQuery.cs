using System.Text.Json;
using MobileServices.Sync.Indexes;
using MobileServices.Sync.Queries;

namespace MobileServices.Sync.Views;

/// <summary>What of a view is asked for: https://docs.couchdb.org/en/stable/api/ddoc/views.html.</summary>
internal sealed record ViewQuery
{
    /// <summary>One for each of <c>keys</c>, in their order.</summary>
    public required List<ScanRange> Ranges { get; init; }

    public bool Descending { get; private init; }

    public long Limit { get; private init; }

    public long Skip { get; private init; }

    public bool Reduces { get; private init; }

    /// <summary>By how many items of a list keys are grouped; 0 makes one group of all, and the largest number one of each key.</summary>
    public int GroupLevel { get; private init; }

    public bool IncludeDocs { get; private init; }

    public bool Conflicts { get; private init; }

    public bool Attachments { get; private init; }

    public bool EncodingInfo { get; private init; }

    public bool UpdateSeq { get; private init; }

    /// <summary>Whether the index is brought up to date: <c>true</c> before it is read, <c>lazy</c> after, <c>false</c> not at all.</summary>
    public string Update { get; private init; } = "true";

    /// <exception cref="SyncException">It cannot be answered.</exception>
    public static ViewQuery Read(SyncCall call, JsonElement body, bool hasReduce)
    {
        var given = new Parameters(call.Query, body);
        var descending = given.Flag("descending", false);
        var reduces = given.Flag("reduce", hasReduce);
        var keys = given.Json("keys");
        var level = given.Number("group_level") ?? (given.Flag("group", false) ? int.MaxValue : 0);
        var includeDocs = given.Flag("include_docs", false);
        foreach (var (isWrong, why) in new[]
        {
            (reduces && !hasReduce, "Reduce is invalid for map-only views."),
            (level > 0 && !reduces, "Invalid use of grouping on a map view."),
            (includeDocs && reduces, "`include_docs` is invalid for reduce"),
            (keys is not null && keys.Value.ValueKind is not JsonValueKind.Array, "`keys` member must be an array."),
            (keys is not null && reduces && level < int.MaxValue, "Multi-key fetches for reduce views must use `group=true`"),
            (keys is not null && (given.Json("key") ?? given.Json("startkey", "start_key") ?? given.Json("endkey", "end_key")) is not null, "`keys` is incompatible with `key`, `start_key` and `end_key`"),
        })
        {
            if (isWrong)
            {
                throw SyncException.Query(why);
            }
        }
        given.Flag("sorted", true);
        given.Flag("stable", false);
        return new()
        {
            Ranges = keys is { } list ? [.. list.EnumerateArray().Select(key => Between(key, key, null, null, true))] : [RangeOf(given, descending)],
            Descending = descending,
            Limit = given.Number("limit") ?? long.MaxValue,
            Skip = given.Number("skip") ?? 0,
            Reduces = reduces,
            GroupLevel = (int)Math.Min(level, int.MaxValue),
            IncludeDocs = includeDocs,
            Conflicts = given.Flag("conflicts", false),
            Attachments = given.Flag("attachments", false),
            EncodingInfo = given.Flag("att_encoding_info", false),
            UpdateSeq = given.Flag("update_seq", false),
            Update = (given.Text("update"), given.Text("stale")) switch
            {
                (null, null) => "true",
                ("true" or "false" or "lazy", null) => given.Text("update")!,
                (null, "ok") => "false",
                (null, "update_after") => "lazy",
                _ => throw SyncException.Query("`update` must be true, false or lazy."),
            },
        };
    }

    private static ScanRange RangeOf(Parameters given, bool descending)
    {
        var key = given.Json("key");
        var (start, end) = (key ?? given.Json("startkey", "start_key"), key ?? given.Json("endkey", "end_key"));
        var (startId, endId) = (given.Text("startkey_docid") ?? given.Text("start_key_doc_id"), given.Text("endkey_docid") ?? given.Text("end_key_doc_id"));
        if (start is { } first && end is { } last && Collation.Compare(first, last) is not 0 and var order && order > 0 != descending)
        {
            throw SyncException.Query($"No rows can match your key range, reverse your start_key and end_key or set descending={(descending ? "false" : "true")}");
        }
        var inclusive = given.Flag("inclusive_end", true);
        if (!descending)
        {
            return Between(start, end, startId, endId, inclusive);
        }
        var range = Between(end, start, endId, startId, true);
        return inclusive ? range : range with { From = range.From is null || endId is not null ? range.From : [.. range.From, KeyCode.After], IncludesFromId = false };
    }

    private static ScanRange Between(JsonElement? low, JsonElement? high, string? lowId, string? highId, bool inclusive)
    {
        var to = high is { } value ? KeyCode.Of(value) : null;
        return new(
            low is { } from ? KeyCode.Of(from) : null, low is null ? null : lowId, to is not null && inclusive && highId is null ? [.. to, KeyCode.After] : to, to is null ? null : highId, true, inclusive);
    }

    /// <summary>Of the body, where they are in it, otherwise of the query.</summary>
    private sealed class Parameters(SyncQuery query, JsonElement body)
    {
        public JsonElement? Json(string name, string? other = null) => Sent(name) ?? query.Json(name) ?? (other is null ? null : Json(other));

        public string? Text(string name)
        {
            var text = Sent(name) is { } sent ? sent.ValueKind is JsonValueKind.String ? sent.GetString() : sent.GetRawText() : query.Text(name);
            return text?.Contains('\0', StringComparison.Ordinal) is true ? throw SyncException.Query($"`{name}` holds a null character.") : text;
        }

        public bool Flag(string name, bool otherwise) => Sent(name) switch
        {
            null => query.Flag(name, otherwise),
            { ValueKind: JsonValueKind.True } => true,
            { ValueKind: JsonValueKind.False } => false,
            var other => throw SyncException.Query($"Invalid boolean parameter: {other}"),
        };

        public long? Number(string name) => Sent(name) is not { } sent ? query.Number(name)
            : sent.ValueKind is JsonValueKind.Number && sent.TryGetInt64(out var number) && number >= 0 ? number : throw SyncException.Query($"Invalid value for integer: {sent}");

        private JsonElement? Sent(string name) => body.ValueKind is JsonValueKind.Object && body.TryGetProperty(name, out var sent) ? sent : null;
    }
}
