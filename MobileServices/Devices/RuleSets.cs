using System.Data;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dapper;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using Npgsql;

namespace MobileServices.Devices;

/// <summary>The rules in force, read again when their version has changed, which every call asks the database.</summary>
internal sealed class RuleSets(NpgsqlDataSource database)
{
    /// <summary>How rules stand in the database.</summary>
    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
    };

    private AppDecisions? _current;

    public async Task<AppDecisions> CurrentAsync(CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var version = await connection.ExecuteScalarAsync<long>(new CommandDefinition("select version from devices.gate", cancellationToken: ct));
        var current = _current;
        return current?.Version == version ? current : _current = await ReadAsync(connection, ct);
    }

    private static async Task<AppDecisions> ReadAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        // All of one state: the version is that of the rules beside it.
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, ct);
        await using var rows = await connection.QueryMultipleAsync(new CommandDefinition(
            "select version from devices.gate; select body::text from devices.rule; select device_id from devices.device_block",
            transaction: transaction, cancellationToken: ct));
        var version = await rows.ReadSingleAsync<long>();
        var rules = await rows.ReadAsync<string>();
        var blocked = await rows.ReadAsync<Guid>();
        return new(new(version, [.. rules.Select(body => JsonSerializer.Deserialize<AppRule>(body, Json)!)], [.. blocked]));
    }
}
