using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using Microsoft.IdentityModel.Tokens;
using Npgsql;
using OpenIddict.Server;

namespace MobileServices.Identity.Keys;

/// <summary>
/// The keys of all replicas. A new one is published <see cref="IdentityOptions.KeyAheadHours"/> before it signs, and an old one stays until nothing that it signed
/// or encrypted can be valid.
/// </summary>
internal sealed class SigningKeys(NpgsqlDataSource database, KeySeal seal, IOptions<IdentityOptions> options, TimeProvider time)
    : IOptionsChangeTokenSource<OpenIddictServerOptions>, IHostedService, IDisposable
{
    private readonly Lock _gate = new();
    private readonly KeyRing _ring = new(
        database, seal, time, "identity.signing_key", TimeSpan.FromDays(options.Value.KeyDays), TimeSpan.FromHours(options.Value.KeyAheadHours),
        TimeSpan.FromDays(options.Value.RefreshTokenDays) + TimeSpan.FromHours(1));

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
            keys = _ring.Read();
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

    /// <summary>A start with a wrong secret ends.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        Refresh();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _change.Dispose();
}

internal static class SigningKeyExtensions
{
    public static SigningCredentials ToSigningCredentials(this SigningKey key) =>
        new(new ECDsaSecurityKey(key.Open()) { KeyId = key.Id }, SecurityAlgorithms.EcdsaSha256);

    /// <summary>For what only this server reads: codes and the contents of refresh tokens.</summary>
    public static EncryptingCredentials ToEncryptingCredentials(this SigningKey key)
    {
        var secret = HKDF.DeriveKey(HashAlgorithmName.SHA256, key.PrivateKey, 32, info: "token encryption"u8.ToArray());
        return new(new SymmetricSecurityKey(secret) { KeyId = key.Id }, SecurityAlgorithms.Aes256KW, SecurityAlgorithms.Aes256CbcHmacSha512);
    }
}
