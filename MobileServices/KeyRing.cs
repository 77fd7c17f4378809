using System.Security.Cryptography;
using Dapper;
using Microsoft.IdentityModel.Tokens;
using MobileIntegration.ServiceDefaults;
using Npgsql;

namespace MobileServices;

/// <summary>
/// P-256 keys of all replicas, kept in a PostgreSQL table with the columns id, private_key and use_from. A new one is published ahead of the time from which it
/// signs, and an old one stays for a while after its last signature.
/// </summary>
/// <param name="table">With its schema.</param>
/// <param name="signs">How long a key signs.</param>
/// <param name="ahead">How long it is published before.</param>
/// <param name="after">How long it is published afterwards.</param>
internal sealed class KeyRing(NpgsqlDataSource database, KeySeal seal, TimeProvider time, string table, TimeSpan signs, TimeSpan ahead, TimeSpan after)
{
    /// <summary>Makes the next one when it is time, and removes those that have ended.</summary>
    /// <returns>The one that signs now, then all others that are published.</returns>
    /// <exception cref="StartException">A key is sealed by a secret that this process does not have.</exception>
    public List<SigningKey> Read()
    {
        using var connection = database.OpenConnection();
        using var transaction = connection.BeginTransaction();
        // Replicas that find at the same time that a key is due make one.
        connection.Execute($"lock table {table} in share row exclusive mode");
        // Not before: the one that was waited for has made its key meanwhile.
        var now = time.GetUtcNow().UtcDateTime;
        connection.Execute(
            $"delete from {table} k where exists (select from {table} later where later.use_from > k.use_from and later.use_from < @before)", new { before = now - after });
        var keys = connection.Query<(string Id, byte[] PrivateKey, DateTime UseFrom)>(
            $"select id, private_key, use_from from {table} order by use_from desc, id").Select(row => Open(connection, row)).ToList();
        if (keys.Count is 0 || keys[0].UseFrom + signs - ahead <= now)
        {
            var key = SigningKey.Create(keys.Count is 0 ? now : now + ahead);
            connection.Execute(
                $"insert into {table} (id, private_key, use_from) values (@Id, @sealedKey, @UseFrom)", new { key.Id, sealedKey = seal.Close(key.Id, key.PrivateKey), key.UseFrom });
            keys.Insert(0, key);
        }
        transaction.Commit();
        // The first of all, made by a replica whose clock is ahead of this one's, signs here too.
        var signing = keys.Find(key => key.UseFrom <= now) ?? keys[^1];
        return [signing, .. keys.Where(key => key != signing)];
    }

    /// <summary>One from before there was a secret is sealed now.</summary>
    private SigningKey Open(NpgsqlConnection connection, (string Id, byte[] PrivateKey, DateTime UseFrom) row)
    {
        var key = new SigningKey(row.Id, seal.Open(row.Id, row.PrivateKey), row.UseFrom);
        if (KeySeal.IsOpen(row.PrivateKey) && seal.HasSecret)
        {
            connection.Execute($"update {table} set private_key = @sealedKey where id = @Id", new { row.Id, sealedKey = seal.Close(row.Id, key.PrivateKey) });
        }
        return key;
    }
}

/// <summary>A P-256 key, its own name (RFC 7638) and the time from which it signs.</summary>
/// <param name="PrivateKey">PKCS #8.</param>
internal sealed record SigningKey(string Id, byte[] PrivateKey, DateTime UseFrom)
{
    public static SigningKey Create(DateTime useFrom)
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
