using System.Diagnostics;
using System.Net;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;
using StackExchange.Redis.Profiling;

namespace MobileIntegration.ServiceDefaults.Clients;

/// <summary>
/// Turns the client's command profiles into activities (semantic conventions for Redis: db.system.name, db.operation.name, server.address;
/// no keys or values). A command belongs to the activity that was current when it was sent and is reported when that one stops.
/// </summary>
internal sealed class RedisTracing : IDisposable
{
    /// <summary>The name that OpenTelemetry's own instrumentation uses, so that dashboards and filters find it.</summary>
    internal const string SourceName = "OpenTelemetry.Instrumentation.StackExchangeRedis";

    private readonly ActivitySource _source = new(SourceName);
    private readonly ConditionalWeakTable<Activity, ProfilingSession> _sessions = [];
    private readonly ActivityListener _listener;

    public RedisTracing()
    {
        // Samples nothing itself: it only hears activities that telemetry records anyway come to their end.
        _listener = new ActivityListener { ShouldListenTo = _ => true, ActivityStopped = Report };
        ActivitySource.AddActivityListener(_listener);
    }

    public void Follow(IConnectionMultiplexer connection) => connection.RegisterProfiler(() =>
        Activity.Current is { Recorded: true } activity && _source.HasListeners()
            ? _sessions.GetValue(activity, static _ => new ProfilingSession())
            : null);

    public void Dispose()
    {
        _listener.Dispose();
        _source.Dispose();
    }

    private void Report(Activity parent)
    {
        if (!_sessions.TryGetValue(parent, out var session))
        {
            return;
        }
        _sessions.Remove(parent);
        foreach (var command in session.FinishProfiling())
        {
            using var activity = _source.StartActivity(
                command.Command, ActivityKind.Client, parent.Context, startTime: new DateTimeOffset(command.CommandCreated, TimeSpan.Zero));
            if (activity is null)
            {
                continue;
            }
            activity.SetTag("db.system.name", "redis");
            activity.SetTag("db.operation.name", command.Command);
            activity.SetTag("db.namespace", command.Db.ToString(System.Globalization.CultureInfo.InvariantCulture));
            if (command.EndPoint is DnsEndPoint dns)
            {
                activity.SetTag("server.address", dns.Host);
                activity.SetTag("server.port", dns.Port);
            }
            else if (command.EndPoint is IPEndPoint ip)
            {
                activity.SetTag("server.address", ip.Address.ToString());
                activity.SetTag("server.port", ip.Port);
            }
            activity.SetEndTime(command.CommandCreated + command.ElapsedTime);
        }
    }
}

internal static class RedisTracingExtensions
{
    public static void AddRedisTracing(this IHostApplicationBuilder builder)
    {
        if (builder.Properties.TryAdd(RedisTracing.SourceName, true))
        {
            builder.Services.AddSingleton<RedisTracing>();
            builder.Services.AddOpenTelemetry().WithTracing(traces => traces.AddSource(RedisTracing.SourceName));
        }
    }
}
