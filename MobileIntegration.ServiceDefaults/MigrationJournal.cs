using System.Data;
using System.Security.Cryptography;
using System.Text;
using DbUp.Engine;
using DbUp.Engine.Transactions;

namespace MobileIntegration.ServiceDefaults;

/// <summary>Which scripts ran, with a checksum of each; the table <c>migrations</c> in the slice's schema.</summary>
internal sealed class MigrationJournal(Func<IConnectionManager> connections, IReadOnlyCollection<SqlScript> scripts) : IJournal
{
    public string[] GetExecutedScripts() => connections().ExecuteCommandsWithManagedConnection(newCommand =>
    {
        EnsureTableExistsAndIsLatestVersion(newCommand);
        using var command = newCommand();
        command.CommandText = "select name, checksum from migrations order by name";
        using var reader = command.ExecuteReader();
        var names = new List<string>();
        while (reader.Read())
        {
            var name = reader.GetString(0);
            if (scripts.FirstOrDefault(script => script.Name == name) is { } script && Checksum(script) != reader.GetString(1))
            {
                throw new StartException($"The script {name} was changed after it ran. Restore it, and put the change into a new script.");
            }
            names.Add(name);
        }
        return names.ToArray();
    });

    public void StoreExecutedScript(SqlScript script, Func<IDbCommand> dbCommandFactory)
    {
        using var command = dbCommandFactory();
        command.CommandText = "insert into migrations (name, checksum) values (@name, @checksum)";
        AddParameter(command, "name", script.Name);
        AddParameter(command, "checksum", Checksum(script));
        command.ExecuteNonQuery();
    }

    public void EnsureTableExistsAndIsLatestVersion(Func<IDbCommand> dbCommandFactory)
    {
        using var command = dbCommandFactory();
        command.CommandText =
            "create table if not exists migrations (name text primary key, checksum text not null, applied_at timestamptz not null default now())";
        command.ExecuteNonQuery();
    }

    public static string Checksum(SqlScript script) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(script.Contents.ReplaceLineEndings("\n"))));

    private static void AddParameter(IDbCommand command, string name, string value)
    {
        var parameter = command.CreateParameter();
        parameter.ParameterName = name;
        parameter.Value = value;
        command.Parameters.Add(parameter);
    }
}
