using System.Buffers.Text;
using System.Security.Cryptography;
using Dapper;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MobileServices.Push.Networks.Own;

/// <summary>Subscriptions of our own push service, and what is kept for them until their devices have it.</summary>
internal sealed class OwnStore(
    NpgsqlDataSource database, [FromKeyedServices(PushSetup.Prepared)] NpgsqlDataSource prepared, IOptions<PushOptions> options, TimeProvider time)
{
    private static readonly TimeSpan NowOrNever = TimeSpan.FromSeconds(10);

    public async Task<(string PushId, string ReceiveId)> SubscribeAsync(string? user, byte[]? senderKey, CancellationToken ct)
    {
        var (push, receive) = (Unguessable(), Unguessable());
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "insert into push.subscription (push_id, receive_id, user_id, sender_key, created_at) values (@push, @receive, @user, @senderKey, @now)",
            new { push, receive, user, senderKey, now = time.GetUtcNow() }, cancellationToken: ct));
        return (push, receive);
    }

    public async Task UnsubscribeAsync(string receiveId, string? user, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            $"""
            with gone as (
                delete from push.stored where push_id = (
                    select push_id from push.subscription where receive_id = @receiveId and (user_id is null or user_id = @user) for update) returning id, receipt_id)
            {ReceiptStore.InsertSql("gone", ReceiptStore.Gone)};
            delete from push.subscription where receive_id = @receiveId and (user_id is null or user_id = @user);
            """, new { receiveId, user, now = time.GetUtcNow() }, transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
    }

    /// <returns>The name for senders; null when there is none of that user.</returns>
    public async Task<string?> FindAsync(string receiveId, string? user, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<string>(new CommandDefinition(
            "select push_id from push.subscription where receive_id = @receiveId and (user_id is null or user_id = @user)", new { receiveId, user }, cancellationToken: ct));
    }

    /// <returns>The one who may send; null when there is no such subscription, empty when everybody may.</returns>
    public async Task<byte[]?> SenderOfAsync(string pushId, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<byte[]>(new CommandDefinition(
            "select coalesce(sender_key, '') from push.subscription where push_id = @pushId", new { pushId }, cancellationToken: ct));
    }

    /// <summary>Keeps a message until its device has it or its time is over. One with the same topic goes; so do the oldest when there are too many.</summary>
    /// <param name="once">Of our own sender: it is kept once, whatever has become of it since.</param>
    /// <param name="receipt">The subscription that is told when the device has it, or will not; of one that was replaced nothing is told (RFC 8030, section 5.4).</param>
    /// <returns>Null when there is no such subscription.</returns>
    public async Task<string?> KeepAsync(
        string pushId, string? topic, string urgency, string? encoding, byte[] body, int ttl, KeptOnce? once, string? receipt, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        // However many others send at a time, those who send for us do not wait for a connection behind them.
        await using var connection = await (once is null ? database : prepared).OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        // One after the other for a subscription: a later topic is the later one. A plan that was made while there was little here would read all of it later.
        if (await connection.ExecuteScalarAsync<string>(new CommandDefinition(
            "set local enable_seqscan = off; select push_id from push.subscription where push_id = @pushId for update", new { pushId }, transaction, cancellationToken: ct)) is null)
        {
            return null;
        }
        var id = await connection.ExecuteScalarAsync<string>(new CommandDefinition(
            once is null ? $"{PutSql("true")}; select @id" : $"{OnceSql}; {PutSql(IfFirst)}; select id from push.kept where message_id = @message and device_id = @device",
            new
            {
                id = Unguessable(),
                pushId,
                topic,
                urgency,
                encoding,
                body,
                message = once?.MessageId,
                device = once?.DeviceId,
                until = once?.Until.ToUniversalTime(),
                receipt,
                now,
                expires = now + (ttl is 0 ? NowOrNever : TimeSpan.FromSeconds(ttl)),
            }, transaction, cancellationToken: ct));
        await connection.ExecuteAsync(new CommandDefinition(
            $"""
            with gone as (
                delete from push.stored where push_id = @pushId and number <= (
                    select number from push.stored where push_id = @pushId order by number desc offset @most limit 1) returning id, receipt_id)
            {ReceiptStore.InsertSql("gone", ReceiptStore.Gone)};
            select pg_notify('{OwnStreams.Channel}', @pushId);
            """, new { pushId, most = options.Value.OwnMostStored, now }, transaction, cancellationToken: ct));
        await transaction.CommitAsync(ct);
        return id;
    }

    public async Task<IReadOnlyList<StoredMessage>> AfterAsync(string pushId, long number, string[] urgencies, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return [.. await connection.QueryAsync<StoredMessage>(new CommandDefinition(
            """
            select number, id, topic, urgency, encoding, body, created_at as CreatedAt, expires_at as ExpiresAt from push.stored
            where push_id = @pushId and number > @number and expires_at > @now and urgency = any (@urgencies) order by number limit 100
            """, new { pushId, number, urgencies, now = time.GetUtcNow() }, cancellationToken: ct))];
    }

    public async Task<bool> AcknowledgeAsync(string id, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.ExecuteScalarAsync<long>(new CommandDefinition(
            $"""
            with gone as (delete from push.stored where id = @id returning id, receipt_id),
            told as ({ReceiptStore.InsertSql("gone", ReceiptStore.Acknowledged)})
            select count(*) from gone
            """, new { id, now = time.GetUtcNow() }, cancellationToken: ct)) > 0;
    }

    private const string OnceSql = "insert into push.kept (message_id, device_id, id, until) values (@message, @device, @id, @until) on conflict do nothing";

    private const string IfFirst = "exists (select from push.kept where message_id = @message and device_id = @device and id = @id)";

    private static string PutSql(string condition) =>
        $"""
        delete from push.stored where push_id = @pushId and topic = @topic and {condition};
        insert into push.stored (id, push_id, topic, urgency, encoding, body, message_id, receipt_id, created_at, expires_at)
        select @id, @pushId, @topic, @urgency, @encoding, @body, @message, @receipt, @now, @expires where {condition}
        on conflict (push_id, message_id) where message_id is not null do nothing
        """;

    public static string Unguessable() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(24));
}

/// <summary>A delivery of our own sender.</summary>
/// <param name="Until">When nobody tries again any more.</param>
internal sealed record KeptOnce(Guid MessageId, Guid DeviceId, DateTimeOffset Until);

internal sealed class StoredMessage
{
    public long Number { get; init; }
    public required string Id { get; init; }
    public string? Topic { get; init; }
    public required string Urgency { get; init; }
    public string? Encoding { get; init; }
    public required byte[] Body { get; init; }
    public DateTime CreatedAt { get; init; }
    public DateTime ExpiresAt { get; init; }
}
