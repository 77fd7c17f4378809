using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using StackExchange.Redis;

namespace MobileIntegration.Tests.ServiceDefaults;

/// <summary>The database clients, by what Aspire's packages promise.</summary>
public sealed class ClientTests
{
    [Fact]
    public void A_missing_connection_string_is_told_when_the_data_source_is_first_needed()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new());
        builder.AddNpgsqlDataSource("orders-db");
        using var host = builder.Build();
        var exception = Assert.Throws<InvalidOperationException>(host.Services.GetRequiredService<NpgsqlDataSource>);
        Assert.Contains("ConnectionStrings:orders-db", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_connection_string_wins_over_settings_and_the_delegate_over_both()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new());
        builder.Configuration.AddInMemoryCollection(
        [
            new("Aspire:Npgsql:ConnectionString", "Host=general"),
            new("Aspire:Npgsql:a:ConnectionString", "Host=named"),
            new("Aspire:Npgsql:b:ConnectionString", "Host=named"),
            new("Aspire:Npgsql:b:DisableHealthChecks", "true"),
            new("ConnectionStrings:a", "Host=connection-string"),
        ]);
        builder.AddKeyedNpgsqlDataSource("a");
        builder.AddKeyedNpgsqlDataSource("b");
        builder.AddKeyedNpgsqlDataSource("c");
        builder.AddKeyedNpgsqlDataSource("d", settings => settings.ConnectionString = "Host=delegate");
        using var host = builder.Build();

        Assert.Equal(
            ["Host=connection-string", "Host=named", "Host=general", "Host=delegate"],
            ((string[])["a", "b", "c", "d"]).Select(name => host.Services.GetRequiredKeyedService<NpgsqlDataSource>(name).ConnectionString));
        Assert.Equal(
            ["PostgreSql_a", "PostgreSql_c", "PostgreSql_d"],
            host.Services.GetRequiredService<IOptions<HealthCheckServiceOptions>>().Value.Registrations.Select(check => check.Name));
    }

    [Fact]
    public async Task PostgreSql_is_healthy_while_it_answers()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new());
        builder.Configuration["ConnectionStrings:up"] = await TestPostgres.CreateDatabaseAsync();
        builder.Configuration["ConnectionStrings:down"] = "Host=127.0.0.1;Port=9;Username=nobody";
        builder.AddNpgsqlDataSource("up");
        builder.AddKeyedNpgsqlDataSource("down");
        builder.Services.AddLogging();
        using var host = builder.Build();

        var report = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();

        Assert.Equal(HealthStatus.Healthy, report.Entries["PostgreSql"].Status);
        Assert.Equal(HealthStatus.Unhealthy, report.Entries["PostgreSql_down"].Status);
    }

    [Fact]
    public async Task Redis_serves_commands_caches_and_health_and_its_commands_stand_in_the_trace()
    {
        var storage = DistributedApplicationTestingBuilder.Create();
        storage.AddRedis("redis");
        await using var running = await storage.BuildAsync();
        await running.StartAsync();
        var connectionString = await running.GetConnectionStringAsync("redis");

        using var source = new ActivitySource("mobile.test.redis");
        var commands = new ConcurrentBag<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = one => one.Name is "OpenTelemetry.Instrumentation.StackExchangeRedis" || one == source,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = commands.Add,
        };
        ActivitySource.AddActivityListener(listener);

        var builder = Host.CreateApplicationBuilder();
        builder.Configuration["ConnectionStrings:redis"] = connectionString;
        builder.AddRedisClientBuilder("redis").WithDistributedCache(options => options.InstanceName = "test:").WithOutputCache();
        builder.AddKeyedRedisDistributedCache("keyed", settings => settings.ConnectionString = connectionString);
        using var host = builder.Build();
        await host.StartAsync();
        var redis = host.Services.GetRequiredService<IConnectionMultiplexer>().GetDatabase();
        await Eventually.TrueAsync(() => redis.Multiplexer.IsConnected, TimeSpan.FromSeconds(15));

        ActivityTraceId trace;
        using (var request = source.StartActivity("request")!)
        {
            trace = request.TraceId;
            await redis.StringSetAsync("greeting", "secret");
        }
        await host.Services.GetRequiredService<IDistributedCache>().SetStringAsync("one", "1");
        await host.Services.GetRequiredKeyedService<IDistributedCache>("keyed").SetStringAsync("two", "2");

        Assert.True(await redis.KeyExistsAsync("test:one"));
        Assert.True(await redis.KeyExistsAsync("two"));
        var report = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        Assert.Equal(["StackExchange.Redis", "StackExchange.Redis_keyed"], report.Entries.Keys.Order());
        Assert.Equal(HealthStatus.Healthy, report.Status);

        await Eventually.TrueAsync(() => commands.Any(command => command.TraceId == trace && command.Kind is ActivityKind.Client), TimeSpan.FromSeconds(15));
        var set = commands.Single(command => command.TraceId == trace && command.Kind is ActivityKind.Client);
        Assert.Equal("SET", set.DisplayName);
        Assert.DoesNotContain(set.TagObjects, tag => tag.Value is string text && (text.Contains("greeting", StringComparison.Ordinal) || text.Contains("secret", StringComparison.Ordinal)));
        Assert.InRange(set.Duration, TimeSpan.FromTicks(1), TimeSpan.FromSeconds(5));
    }
}
