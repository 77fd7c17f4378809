using System.Text;
using Dapper;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Events;
using Npgsql;

namespace IntegrationServices.Changes;

/// <summary>The tables of the schema <c>changes</c>. What is seen, what it told and what was set aside are one transaction.</summary>
internal sealed class ChangeStore(NpgsqlDataSource database, IOptions<ChangesOptions> options)
{
    public NpgsqlDataSource Database => database;

    /// <summary>The secret of a system's webhooks, one for all replicas; made when there is none.</summary>
    public async Task<string> SecretAsync(string system, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.QuerySingleAsync<string>(new CommandDefinition(
            """
            insert into changes.secret (system, secret) values (@system, @made) on conflict (system) do nothing;
            select secret from changes.secret where system = @system
            """,
            new { system, made = WebhookSignature.NewSecret() }, cancellationToken: ct));
    }

    public async Task<string?> FindSecretAsync(string system, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.QuerySingleOrDefaultAsync<string>(new CommandDefinition(
            "select secret from changes.secret where system = @system", new { system }, cancellationToken: ct));
    }

    /// <summary>Takes a webhook once for its id.</summary>
    public async Task<Outcome> TakeWebhookAsync(string system, string messageId, string body, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var isNew = await connection.ExecuteAsync(new CommandDefinition(
            "insert into changes.webhook (system, message_id) values (@system, @messageId) on conflict do nothing",
            new { system, messageId }, transaction, cancellationToken: ct)) > 0;
        var outcome = isNew ? await TakeAsync(transaction, [Report.Of(system, "webhook", messageId, body)], ct) : new(0, 0, 1);
        await transaction.CommitAsync(ct);
        return outcome;
    }

    /// <summary>Takes messages of a queue in their order, each once for its id if it has one.</summary>
    public async Task<Outcome> TakeMessagesAsync(string system, IReadOnlyList<Queues.Message> messages, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var ids = messages.Select(message => message.KnownId).OfType<string>().Distinct().Order(StringComparer.Ordinal).ToArray();
        var isNew = (await connection.QueryAsync<string>(new CommandDefinition(
            "insert into changes.message (system, message_id) select @system, unnest(@ids) on conflict do nothing returning message_id",
            new { system, ids }, transaction, cancellationToken: ct))).ToHashSet();
        // Removed when it is met: what comes twice in one batch counts once.
        var reports = messages.Where(message => message.KnownId is not { } id || isNew.Remove(id)).Select(message => message.Report(system)).ToList();
        var outcome = await TakeAsync(transaction, reports, ct);
        await transaction.CommitAsync(ct);
        return outcome with { Known = outcome.Known + messages.Count - reports.Count };
    }

    /// <summary>Tells what was understood and is new, and sets aside what was not understood.</summary>
    public static async Task<Outcome> TakeAsync(NpgsqlTransaction transaction, IReadOnlyList<Report> reports, CancellationToken ct)
    {
        var understood = reports.Where(report => report.Event is not null).Select(report => report.Event!).ToList();
        var aside = reports.Where(report => report.Event is null).ToList();
        var told = await transaction.PublishAsync(understood, ct);
        if (aside.Count > 0)
        {
            await transaction.Connection!.ExecuteAsync(new CommandDefinition(
                """
                insert into changes.set_aside (id, system, source, reference, reason, content)
                select * from unnest(@ids, @systems, @sources, @references, @reasons, @contents)
                on conflict (system, source, reference, md5(content)) where status = 'open' do nothing
                """,
                new
                {
                    ids = aside.Select(_ => Guid.CreateVersion7()).ToArray(),
                    systems = aside.Select(report => report.System).ToArray(),
                    sources = aside.Select(report => report.Source).ToArray(),
                    references = aside.Select(report => report.Reference).ToArray(),
                    reasons = aside.Select(report => report.Reason).ToArray(),
                    contents = aside.Select(report => report.Content).ToArray(),
                },
                transaction, cancellationToken: ct));
        }
        return new(told, aside.Count, understood.Count - told);
    }

    /// <returns>Where a system's changes were read to; null when another replica is at it, or nobody was yet.</returns>
    public static Task<string?> LockMarkAsync(NpgsqlTransaction transaction, string system, CancellationToken ct) =>
        transaction.Connection!.QuerySingleOrDefaultAsync<string>(new CommandDefinition(
            "select position from changes.mark where system = @system for update skip locked", new { system }, transaction, cancellationToken: ct));

    /// <summary>Where reading begins, unless it has begun.</summary>
    /// <returns>True when it had not.</returns>
    public async Task<bool> BeginMarkAsync(string system, Func<Task<string>> positionAsync, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        if (await connection.ExecuteScalarAsync<bool>(new CommandDefinition(
            "select exists (select from changes.mark where system = @system)", new { system }, cancellationToken: ct)))
        {
            return false;
        }
        return await connection.ExecuteAsync(new CommandDefinition(
            "insert into changes.mark (system, position) values (@system, @position) on conflict do nothing",
            new { system, position = await positionAsync() }, cancellationToken: ct)) > 0;
    }

    public static Task MoveMarkAsync(NpgsqlTransaction transaction, string system, string position, CancellationToken ct) =>
        transaction.Connection!.ExecuteAsync(new CommandDefinition(
            "update changes.mark set position = @position, at = now() where system = @system", new { system, position }, transaction, cancellationToken: ct));

    /// <summary>Forgets what is past keeping.</summary>
    public async Task PruneAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            """
            delete from changes.webhook where received_at < now() - @keep;
            delete from changes.message where received_at < now() - @keep;
            delete from changes.file where ended_at < now() - @keep;
            delete from changes.set_aside where status <> 'open' and ended_at < now() - @keep
            """,
            new { keep = TimeSpan.FromDays(options.Value.KeepDays) }, cancellationToken: ct));
    }
}

/// <summary>What became of reported changes.</summary>
/// <param name="Known">Reported before, or older than what was.</param>
internal readonly record struct Outcome(int Told, int SetAside, int Known);

/// <summary>A change as a system reported it, understood or not.</summary>
/// <param name="Source">webhook, message, poll, line or file.</param>
/// <param name="Reference">Names it within its system and source.</param>
/// <param name="Content">What an operator sees and a replay reads; at most <see cref="LongestContent"/> characters.</param>
internal sealed record Report(string System, string Source, string Reference, string Content, NewEvent? Event, string? Reason)
{
    public const int LongestContent = 70_000;

    public static Report Of(string system, string source, string reference, string content)
    {
        try
        {
            return new(system, source, reference, content, source is "line" ? StockLine.Read(content) : BackendChange.Read(system, content), null);
        }
        catch (ChangeException exception)
        {
            return SetAside(system, source, reference, content, exception.Message);
        }
    }

    /// <summary>PostgreSQL's text has no NUL, and no half of a surrogate pair.</summary>
    public static Report SetAside(string system, string source, string reference, string content, string reason) =>
        new(system, source, Plain(reference), Plain(content.Length > LongestContent ? content[..LongestContent] : content), null, Plain(reason));

    private static string Plain(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text.Replace('\0', '\uFFFD')));
}
