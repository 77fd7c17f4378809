using Microsoft.Extensions.Options;
using Npgsql;

namespace MobileServices.Devices;

/// <summary>The keys that sign decisions. One is published a day before it signs, and for two days after its last signature, which is longer than a decision lives.</summary>
internal sealed class DecisionKeys(NpgsqlDataSource database, KeySeal seal, IOptions<DevicesOptions> options, TimeProvider time) : IHostedService
{
    private static readonly TimeSpan Kept = TimeSpan.FromMinutes(5);

    private readonly KeyRing _ring = new(
        database, seal, time, "devices.decision_key", TimeSpan.FromDays(options.Value.KeyDays), TimeSpan.FromDays(1), TimeSpan.FromDays(2));

    private (DateTimeOffset ReadAt, IReadOnlyList<SigningKey> Keys)? _current;

    /// <returns>The one that signs now, then all others that are published.</returns>
    public IReadOnlyList<SigningKey> Current()
    {
        var now = time.GetUtcNow();
        if (_current is { } current && now - current.ReadAt < Kept)
        {
            return current.Keys;
        }
        var keys = _ring.Read();
        _current = (now, keys);
        return keys;
    }

    /// <summary>A start with a wrong secret ends.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        Current();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
