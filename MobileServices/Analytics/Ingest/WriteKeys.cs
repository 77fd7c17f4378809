using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using Dapper;
using Npgsql;

namespace MobileServices.Analytics.Ingest;

/// <summary>Whose events a write key is for. A new key is known at once, a revoked one refused within <see cref="Fresh"/> on every replica.</summary>
internal sealed class WriteKeys(NpgsqlDataSource database, TimeProvider time, ILogger<WriteKeys> logger) : IDisposable
{
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(10);
    private readonly SemaphoreSlim _turn = new(1);

    private FrozenDictionary<string, int>? _keys;
    private long _readAt;

    public static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));

    /// <returns>The app; null when the key is not known or was revoked.</returns>
    public async ValueTask<int?> AppOfAsync(string key, CancellationToken ct)
    {
        var hash = Convert.ToHexString(Hash(key));
        var keys = Volatile.Read(ref _keys);
        var app = 0;
        // However many ask for what is not known, one look at a time serves all that wait.
        if (keys is null || time.GetElapsedTime(Volatile.Read(ref _readAt)) > Fresh || !keys.TryGetValue(hash, out app))
        {
            keys = await ReadAsync(time.GetTimestamp(), ct);
        }
        return app is not 0 || keys.TryGetValue(hash, out app) ? app : null;
    }

    public void Dispose() => _turn.Dispose();

    /// <summary>While the database is away the last keys hold: what comes with them cannot be stored then anyway.</summary>
    private async Task<FrozenDictionary<string, int>> ReadAsync(long askedAt, CancellationToken ct)
    {
        await _turn.WaitAsync(ct);
        try
        {
            if (_keys is { } others && _readAt > askedAt)
            {
                return others;
            }
            var now = time.GetTimestamp();
            await using var connection = await database.OpenConnectionAsync(ct);
            var rows = await connection.QueryAsync<(byte[] Hash, int App)>(new CommandDefinition(
                "select hash, app from analytics.write_key where revoked_at is null", cancellationToken: ct));
            var keys = rows.ToFrozenDictionary(row => Convert.ToHexString(row.Hash), row => row.App);
            Volatile.Write(ref _keys, keys);
            Volatile.Write(ref _readAt, now);
            return keys;
        }
        catch (NpgsqlException exception) when (_keys is not null)
        {
            logger.LogWarning("Write keys cannot be read, and the last ones hold: {Reason}", exception.Message);
            return _keys;
        }
        finally
        {
            _turn.Release();
        }
    }
}
