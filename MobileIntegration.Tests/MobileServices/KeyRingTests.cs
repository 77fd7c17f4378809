using Dapper;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using MobileServices;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices;

/// <summary>The keys that all replicas sign with.</summary>
public sealed class KeyRingTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(-300)]
    [InlineData(300)]
    public async Task Replicas_whose_clocks_differ_sign_with_the_same_first_key(int secondsApart)
    {
        await using var database = NpgsqlDataSource.Create(await TestPostgres.CreateDatabaseAsync());
        await using var connection = await database.OpenConnectionAsync();
        await connection.ExecuteAsync("create table ring (id text primary key, private_key bytea not null, use_from timestamptz not null)");
        var now = DateTimeOffset.UtcNow;

        var first = Ring(database, now).Read();
        var other = Ring(database, now.AddSeconds(secondsApart)).Read();

        Assert.Equal(Assert.Single(first).Id, Assert.Single(other).Id);
    }

    [Fact]
    public async Task Replicas_that_begin_at_once_make_one_key()
    {
        await using var database = NpgsqlDataSource.Create(await TestPostgres.CreateDatabaseAsync());
        await using var connection = await database.OpenConnectionAsync();
        await connection.ExecuteAsync("create table ring (id text primary key, private_key bytea not null, use_from timestamptz not null)");

        var rings = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Ring(database, null).Read())));

        Assert.Single(rings.Select(keys => Assert.Single(keys).Id).Distinct());
    }

    private static KeyRing Ring(NpgsqlDataSource database, DateTimeOffset? now) => new(
        database, new KeySeal(Options.Create(new KeyOptions()), new HostingEnvironment { EnvironmentName = Environments.Development }, NullLogger<KeySeal>.Instance), now is { } fixedTime ? new FakeTimeProvider(fixedTime) : TimeProvider.System, "ring",
        TimeSpan.FromDays(30), TimeSpan.FromDays(1), TimeSpan.FromDays(2));
}
