using System.Text.Json;

namespace MobileServices.Configuration.Admin;

/// <param name="Status">The HTTP status that says it.</param>
internal sealed record Refusal(int Status, string Detail);

/// <param name="Version">Also the ETag of what is in force; null of a flag that was never published.</param>
/// <param name="PublishAt">When the draft comes into force, if that is scheduled.</param>
/// <param name="Problem">Why the draft did not come into force when it was due.</param>
internal sealed record FlagSummary(
    string Key, FlagType? Type, bool? Enabled, string? Description, long? Version, DateTimeOffset? PublishedAt, string? PublishedBy, bool HasDraft, DateTimeOffset? PublishAt, string? Problem);

/// <param name="Flag">Null when the version took the flag away.</param>
internal sealed record FlagVersion(long Version, Flag? Flag, DateTimeOffset PublishedAt, string PublishedBy, string? Note);

/// <param name="Revision">Also the draft's ETag.</param>
/// <param name="PublishAt">When it comes into force, if that is scheduled.</param>
/// <param name="Problem">Why it did not come into force when it was due.</param>
internal sealed record FlagDraft(Flag Flag, long Revision, DateTimeOffset UpdatedAt, string UpdatedBy, DateTimeOffset? PublishAt, string? Note, string? Problem);

/// <param name="Action">draft, drop draft, schedule, unschedule, publish, rollback or remove.</param>
internal sealed record FlagAudit(long Id, DateTimeOffset At, string Who, string AppId, string Key, string Action, Flag? Before, Flag? After, string? Note);

/// <summary>Rows as Dapper fills them.</summary>
internal sealed class SummaryRow
{
    public required string Key { get; init; }

    public long? Version { get; init; }

    public string? Body { get; init; }

    public DateTime? PublishedAt { get; init; }

    public string? PublishedBy { get; init; }

    public bool HasDraft { get; init; }

    public DateTime? PublishAt { get; init; }

    public string? Problem { get; init; }

    public FlagSummary ToSummary()
    {
        var flag = Body is null ? null : JsonSerializer.Deserialize<Flag>(Body, Flag.Json);
        return new(Key, flag?.Type, flag?.Enabled, flag?.Description, Version, PublishedAt, PublishedBy, HasDraft, PublishAt, Problem);
    }
}

internal sealed class VersionRow
{
    public long Version { get; init; }

    public string? Body { get; init; }

    public DateTime PublishedAt { get; init; }

    public required string PublishedBy { get; init; }

    public string? Note { get; init; }

    public FlagVersion ToVersion() => new(Version, Body is null ? null : JsonSerializer.Deserialize<Flag>(Body, Flag.Json), PublishedAt, PublishedBy, Note);
}

internal sealed class DraftRow
{
    public required string AppId { get; init; }

    public required string Key { get; init; }

    public required string Body { get; init; }

    public long Revision { get; init; }

    public DateTime UpdatedAt { get; init; }

    public required string UpdatedBy { get; init; }

    public DateTime? PublishAt { get; init; }

    public string? Note { get; init; }

    public string? Problem { get; init; }

    public FlagDraft ToDraft() => new(JsonSerializer.Deserialize<Flag>(Body, Flag.Json)!, Revision, UpdatedAt, UpdatedBy, PublishAt, Note, Problem);
}

internal sealed class AuditRow
{
    public long Id { get; init; }

    public DateTime At { get; init; }

    public required string Who { get; init; }

    public required string AppId { get; init; }

    public required string Key { get; init; }

    public required string Action { get; init; }

    public string? Before { get; init; }

    public string? After { get; init; }

    public string? Note { get; init; }

    public FlagAudit ToAudit() => new(Id, At, Who, AppId, Key, Action, Read(Before), Read(After), Note);

    private static Flag? Read(string? body) => body is null ? null : JsonSerializer.Deserialize<Flag>(body, Flag.Json);
}
