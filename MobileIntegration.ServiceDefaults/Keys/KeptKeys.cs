using Dapper;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;

namespace MobileIntegration.ServiceDefaults.Keys;

/// <summary>The authority's discovery document and keys, as they were last fetched, in the process's own database.</summary>
internal sealed class KeptKeys(NpgsqlDataSource database, IOptions<AuthenticationSettings> settings)
{
    private const int Seconds = 5;

    public Task WriteAsync(AuthorityDocuments documents, CancellationToken ct) => RunAsync(connection => connection.ExecuteAsync(new(
        """
        insert into authority.kept (authority, discovery, keys, fetched_at) values (@Authority, @Discovery, @Keys, now())
        on conflict (authority) do update set discovery = excluded.discovery, keys = excluded.keys, fetched_at = excluded.fetched_at
        """,
        new { settings.Value.Authority, documents.Discovery, documents.Keys }, commandTimeout: Seconds, cancellationToken: ct)), ct);

    /// <returns>Null when there are none, or none young enough.</returns>
    public Task<KeptDocuments?> ReadAsync(CancellationToken ct) => RunAsync(connection => connection.QuerySingleOrDefaultAsync<KeptDocuments?>(new(
        """
        select discovery, keys, extract(epoch from now() - fetched_at)::float8 as AgeSeconds
        from authority.kept where authority = @Authority and fetched_at > now() - make_interval(hours => @KeptKeysHours)
        """,
        new { settings.Value.Authority, settings.Value.KeptKeysHours }, commandTimeout: Seconds, cancellationToken: ct)), ct);

    private async Task<T> RunAsync<T>(Func<NpgsqlConnection, Task<T>> run, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await run(connection);
    }
}

/// <param name="AgeSeconds">Since they were fetched, by the database's clock.</param>
internal sealed record KeptDocuments(string Discovery, string Keys, double AgeSeconds);

public static class KeptKeysExtensions
{
    /// <summary>
    /// The authority's keys are kept in that database, when the process migrates it, so that a start while the authority is away finds them
    /// (<see cref="AuthenticationSettings.KeptKeysHours"/>). Call it after the slices.
    /// </summary>
    /// <param name="connectionName">The connection string of the process's own <see cref="NpgsqlDataSource"/>.</param>
    public static void KeepAuthorityKeys(this IHostApplicationBuilder builder, string connectionName)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;
        if (services.Any(service => service.ServiceType == typeof(AuthorityKeys))
            && services.Any(service => service.ImplementationInstance is Migration migration && migration.ConnectionName == connectionName))
        {
            builder.AddMigrations<KeptKeys>(connectionName, "authority");
            services.AddSingleton<KeptKeys>();
        }
    }
}
