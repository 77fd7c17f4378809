using System.Text.Json;
using Dapper;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using Npgsql;

namespace MobileServices.Devices.Admin;

/// <summary>What administrators look at.</summary>
internal sealed class RegistryStore(NpgsqlDataSource database)
{
    private const int MostVersions = 50;

    /// <param name="app">Those of one app only.</param>
    public async Task<IReadOnlyList<StoredRule>> RulesAsync(string? app, CancellationToken ct)
    {
        var rules = await QueryAsync<RuleRow>(
            "select body::text as Body, version, updated_at as UpdatedAt, updated_by as UpdatedBy from devices.rule where @app::text is null or body ->> 'appId' = @app",
            new { app }, ct);
        return [.. rules.Select(row => row.ToRule()).OrderBy(stored => stored.Rule.Priority).ThenBy(stored => stored.Rule.Name, StringComparer.Ordinal)];
    }

    public async Task<StoredRule?> RuleAsync(string name, CancellationToken ct) => (await QueryAsync<RuleRow>(
        "select body::text as Body, version, updated_at as UpdatedAt, updated_by as UpdatedBy from devices.rule where name = @name", new { name }, ct))
        .SingleOrDefault()?.ToRule();

    public async Task<IReadOnlyList<App>> AppsAsync(CancellationToken ct)
    {
        var apps = await QueryAsync<(string Id, string Name, string[] Platforms, DateTime RegisteredAt)>(
            """
            select a.id, a.name, array(select distinct v.platform from devices.app_version v where v.app_id = a.id order by 1) as platforms, a.registered_at
            from devices.app a order by a.id
            """,
            new { }, ct);
        return [.. apps.Select(app => new App(app.Id, app.Name, [.. app.Platforms.Select(Enum.Parse<AppPlatform>)], app.RegisteredAt))];
    }

    public async Task<IReadOnlyList<AppVersion>> VersionsAsync(string app, CancellationToken ct)
    {
        var versions = await QueryAsync<(string Platform, string Version, DateTime FirstSeenAt, DateTime LastSeenAt, long Installs)>(
            """
            select v.platform, v.version, v.first_seen_at, v.last_seen_at, coalesce(d.installs, 0)
            from devices.app_version v
            left join (select platform, app_version, count(*) as installs from devices.device where app_id = @app group by platform, app_version) d
                on d.platform = v.platform and d.app_version = v.version
            where v.app_id = @app
            order by v.last_seen_at desc, v.version
            """,
            new { app }, ct);
        return [.. versions.Select(row => new AppVersion(Enum.Parse<AppPlatform>(row.Platform), row.Version, row.FirstSeenAt, row.LastSeenAt, row.Installs))];
    }

    /// <param name="after">The last id of the page before.</param>
    public async Task<IReadOnlyList<ListedDevice>> DevicesAsync(DeviceFilter filter, Guid? after, int limit, CancellationToken ct)
    {
        var devices = await QueryAsync<DeviceRow>(
            """
            select d.id, d.app_id as AppId, d.app_version as AppVersion, d.platform, d.os_version as OsVersion, d.model, d.locale, d.user_id as UserId,
                   d.registered_at as RegisteredAt, d.last_seen_at as LastSeenAt, b.reason
            from devices.device d
            left join devices.device_block b on b.device_id = d.id
            where (@App::text is null or d.app_id = @App)
              and (@Platform::text is null or d.platform = @Platform)
              and (@Version::text is null or d.app_version = @Version)
              and (@User::text is null or d.user_id = @User)
              and (@Blocked::boolean is null or (b.device_id is not null) = @Blocked)
              and (@after::uuid is null or d.id > @after)
            order by d.id limit @limit
            """,
            new { filter.App, filter.Platform, filter.Version, filter.User, filter.Blocked, after, limit }, ct);
        return [.. devices.Select(row => row.ToDevice())];
    }

    /// <summary>
    /// The database counts; what comes here is a line for every version and system, of which there are few, and the devices stay there.
    /// </summary>
    public async Task<Preview> PreviewAsync(AppRule rule, CancellationToken ct)
    {
        var matches = AppDecisions.Matcher(rule);
        var groups = await QueryAsync<(string Platform, string Version, string OsVersion, long Devices)>(
            "select platform, app_version, os_version, count(*) from devices.device where app_id = @AppId group by 1, 2, 3", new { rule.AppId }, ct);
        var hit = groups.Where(group => matches(Enum.Parse<AppPlatform>(group.Platform), group.Version, group.OsVersion)).ToList();
        var versions = hit.GroupBy(group => (group.Platform, group.Version))
            .Select(version => new PreviewVersion(Enum.Parse<AppPlatform>(version.Key.Platform), version.Key.Version, version.Sum(group => group.Devices)))
            .OrderByDescending(version => version.Devices).Take(MostVersions);
        var hits = rule.Percentage >= 100 ? hit.Sum(group => group.Devices) : await CountAsync(rule, hit, ct);
        return new(groups.Sum(group => group.Devices), hits, [.. versions]);
    }

    /// <summary>As <see cref="AppDecisions.Bucket(string, Guid)"/> does it.</summary>
    private async Task<long> CountAsync(
        AppRule rule, IReadOnlyCollection<(string Platform, string Version, string OsVersion, long Devices)> hit, CancellationToken ct) =>
        (await QueryAsync<long>(
            """
            select count(*)
            from devices.device d
            join unnest(@platforms::text[], @versions::text[], @systems::text[]) as hit (platform, version, os_version)
                on hit.platform = d.platform and hit.version = d.app_version and hit.os_version = d.os_version
            where d.app_id = @AppId
              and ('x' || encode(substring(sha256(convert_to(@Name || ':' || d.id::text, 'UTF8')) from 1 for 4), 'hex'))::bit(32)::bigint % 10000 < @share
            """,
            new
            {
                rule.AppId,
                rule.Name,
                share = rule.Percentage * 100,
                platforms = hit.Select(group => group.Platform).ToArray(),
                versions = hit.Select(group => group.Version).ToArray(),
                systems = hit.Select(group => group.OsVersion).ToArray(),
            },
            ct)).Single();

    private async Task<IReadOnlyList<T>> QueryAsync<T>(string sql, object parameters, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return (await connection.QueryAsync<T>(new CommandDefinition(sql, parameters, cancellationToken: ct))).AsList();
    }

    private sealed class RuleRow
    {
        public required string Body { get; init; }

        public required long Version { get; init; }

        public required DateTime UpdatedAt { get; init; }

        public required string UpdatedBy { get; init; }

        public StoredRule ToRule() => new(JsonSerializer.Deserialize<AppRule>(Body, RuleSets.Json)!, Version, UpdatedAt, UpdatedBy);
    }

    private sealed class DeviceRow
    {
        public required Guid Id { get; init; }

        public required string AppId { get; init; }

        public required string AppVersion { get; init; }

        public required string Platform { get; init; }

        public required string OsVersion { get; init; }

        public required string Model { get; init; }

        public required string Locale { get; init; }

        public string? UserId { get; init; }

        public required DateTime RegisteredAt { get; init; }

        public required DateTime LastSeenAt { get; init; }

        public string? Reason { get; init; }

        public ListedDevice ToDevice() =>
            new(Id, AppId, AppVersion, Enum.Parse<AppPlatform>(Platform), OsVersion, Model, Locale, UserId, RegisteredAt, LastSeenAt, Reason);
    }
}
