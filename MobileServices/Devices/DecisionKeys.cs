using System.Security.Cryptography;
using Dapper;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Tokens;
using Npgsql;

namespace MobileServices.Devices;

/// <summary>
/// The keys that sign decisions, kept in PostgreSQL for all replicas. A new one is published a day before it signs, and an old one stays for
/// two days after its last signature, which is longer than a decision lives.
/// </summary>
internal sealed class DecisionKeys(NpgsqlDataSource database, IOptions<DevicesOptions> options, TimeProvider time)
{
    private static readonly TimeSpan Kept = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Ahead = TimeSpan.FromDays(1);
    private static readonly TimeSpan Afterlife = TimeSpan.FromDays(2);

    private (DateTimeOffset ReadAt, IReadOnlyList<DecisionKey> Keys)? _current;

    /// <returns>The one that signs now, then all others that are published.</returns>
    public async Task<IReadOnlyList<DecisionKey>> CurrentAsync(CancellationToken ct)
    {
        var now = time.GetUtcNow();
        if (_current is { } current && now - current.ReadAt < Kept)
        {
            return current.Keys;
        }
        var keys = await ReadAsync(now.UtcDateTime, ct);
        _current = (now, keys);
        return keys;
    }

    private async Task<IReadOnlyList<DecisionKey>> ReadAsync(DateTime now, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        // Replicas that find at the same time that a key is due make one.
        await connection.ExecuteAsync(new CommandDefinition(
            "lock table devices.decision_key in share row exclusive mode", transaction: transaction, cancellationToken: ct));
        await connection.ExecuteAsync(new CommandDefinition(
            """
            delete from devices.decision_key k
            where exists (select from devices.decision_key later where later.use_from > k.use_from and later.use_from < @before)
            """,
            new { before = now - Afterlife }, transaction, cancellationToken: ct));
        var keys = (await connection.QueryAsync<DecisionKey>(new CommandDefinition(
            "select id, private_key as PrivateKey, use_from as UseFrom from devices.decision_key order by use_from desc, id",
            transaction: transaction, cancellationToken: ct))).ToList();
        DateTime? due = keys.Count is 0 ? now : keys[0].UseFrom.AddDays(options.Value.KeyDays) - Ahead <= now ? now + Ahead : null;
        if (due is { } useFrom)
        {
            var key = DecisionKey.Create(useFrom);
            await connection.ExecuteAsync(new CommandDefinition(
                "insert into devices.decision_key (id, private_key, use_from) values (@Id, @PrivateKey, @UseFrom)", key, transaction, cancellationToken: ct));
            keys.Insert(0, key);
        }
        await transaction.CommitAsync(ct);
        var signing = keys.First(key => key.UseFrom <= now);
        return [signing, .. keys.Where(key => key != signing)];
    }
}

/// <summary>A P-256 key, its own name (RFC 7638) and the time from which it signs.</summary>
internal sealed record DecisionKey(string Id, byte[] PrivateKey, DateTime UseFrom)
{
    public static DecisionKey Create(DateTime useFrom)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new(Base64UrlEncoder.Encode(new ECDsaSecurityKey(key).ComputeJwkThumbprint()), key.ExportPkcs8PrivateKey(), useFrom);
    }

    /// <summary>The caller disposes of it.</summary>
    public ECDsa Open()
    {
        var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(PrivateKey, out _);
        return key;
    }

    /// <summary>The public half (RFC 7517).</summary>
    public Dictionary<string, string> ToJwk()
    {
        using var key = Open();
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        return new()
        {
            ["kty"] = "EC",
            ["crv"] = "P-256",
            ["use"] = "sig",
            ["alg"] = SecurityAlgorithms.EcdsaSha256,
            ["kid"] = Id,
            ["x"] = Base64UrlEncoder.Encode(point.X),
            ["y"] = Base64UrlEncoder.Encode(point.Y),
        };
    }
}
