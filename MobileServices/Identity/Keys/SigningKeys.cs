using System.Security.Cryptography;
using Dapper;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using Microsoft.IdentityModel.Tokens;
using Npgsql;
using OpenIddict.Server;

namespace MobileServices.Identity.Keys;

/// <summary>
/// The keys of all replicas, kept in PostgreSQL. A new one is published <see cref="IdentityOptions.KeyAheadHours"/> before it signs, and an old one
/// stays until nothing that it signed or encrypted can be valid.
/// </summary>
internal sealed class SigningKeys(NpgsqlDataSource database, IOptions<IdentityOptions> options, TimeProvider time)
    : IOptionsChangeTokenSource<OpenIddictServerOptions>, IDisposable
{
    private readonly Lock _gate = new();
    private IReadOnlyList<SigningKey>? _current;
    private CancellationTokenSource _change = new();

    public string Name => Options.DefaultName;

    /// <summary>The one that signs now, then all others that are published.</summary>
    public IReadOnlyList<SigningKey> Current => _current ?? Refresh();

    public IChangeToken GetChangeToken() => new CancellationChangeToken(_change.Token);

    /// <summary>Reads the keys, makes the next one when it is time, removes those that have ended.</summary>
    public IReadOnlyList<SigningKey> Refresh()
    {
        CancellationTokenSource? changed = null;
        IReadOnlyList<SigningKey> keys;
        lock (_gate)
        {
            keys = Read();
            if (_current is not null && !_current.Select(key => key.Id).SequenceEqual(keys.Select(key => key.Id)))
            {
                changed = _change;
                _change = new();
            }
            _current = keys;
        }
        changed?.Cancel();
        changed?.Dispose();
        return keys;
    }

    public void Dispose() => _change.Dispose();

    private List<SigningKey> Read()
    {
        using var connection = database.OpenConnection();
        using var transaction = connection.BeginTransaction();
        // Replicas that find at the same time that a key is due make one.
        connection.Execute("lock table identity.signing_key in share row exclusive mode");
        var keys = connection.Query<SigningKey>(
            "select id, private_key as PrivateKey, use_from as UseFrom from identity.signing_key order by use_from desc, id").ToList();
        var now = time.GetUtcNow().UtcDateTime;
        if (Due(keys, now) is { } useFrom)
        {
            var key = SigningKey.Create(useFrom);
            connection.Execute(
                "insert into identity.signing_key (id, private_key, use_from, created_at) values (@Id, @PrivateKey, @UseFrom, @now)",
                new { key.Id, key.PrivateKey, key.UseFrom, now });
            keys.Insert(0, key);
        }
        foreach (var ended in Ended(keys, now))
        {
            connection.Execute("delete from identity.signing_key where id = @Id", new { ended.Id });
            keys.Remove(ended);
        }
        transaction.Commit();
        var signing = keys.First(key => key.UseFrom <= now);
        return [signing, .. keys.Where(key => key != signing)];
    }

    /// <returns>When the key to be made now is to sign.</returns>
    private DateTime? Due(List<SigningKey> keys, DateTime now)
    {
        if (keys.Count is 0)
        {
            return now;
        }
        var ahead = TimeSpan.FromHours(options.Value.KeyAheadHours);
        var next = keys[0].UseFrom.AddDays(options.Value.KeyDays);
        return next - ahead > now ? null : next > now + ahead ? next : now + ahead;
    }

    private List<SigningKey> Ended(List<SigningKey> keys, DateTime now)
    {
        var life = TimeSpan.FromDays(options.Value.RefreshTokenDays) + TimeSpan.FromHours(1);
        return [.. keys.Skip(1).Where((_, index) => keys[index].UseFrom + life < now)];
    }
}

/// <summary>A P-256 key, its own name (RFC 7638) and the time from which it signs.</summary>
internal sealed record SigningKey(string Id, byte[] PrivateKey, DateTime UseFrom)
{
    public static SigningKey Create(DateTime useFrom)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new(Base64UrlEncoder.Encode(new ECDsaSecurityKey(key).ComputeJwkThumbprint()), key.ExportPkcs8PrivateKey(), useFrom);
    }

    public SigningCredentials ToSigningCredentials()
    {
        var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(PrivateKey, out _);
        return new(new ECDsaSecurityKey(key) { KeyId = Id }, SecurityAlgorithms.EcdsaSha256);
    }

    /// <summary>For what only this server reads: codes and the contents of refresh tokens.</summary>
    public EncryptingCredentials ToEncryptingCredentials()
    {
        var key = HKDF.DeriveKey(HashAlgorithmName.SHA256, PrivateKey, 32, info: "token encryption"u8.ToArray());
        return new(new SymmetricSecurityKey(key) { KeyId = Id }, SecurityAlgorithms.Aes256KW, SecurityAlgorithms.Aes256CbcHmacSha512);
    }
}
