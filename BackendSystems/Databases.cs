namespace BackendSystems;

/// <summary>The two databases of the back office, by the names of their connection strings.</summary>
internal static class Databases
{
    /// <summary>Crm, Erp and Pim, a schema each.</summary>
    public const string Backend = "backenddb";

    /// <summary>The Wms alone.</summary>
    public const string Wms = "wmsdb";

    /// <summary>The application name of the back office's own sessions, which a simulated outage of the Wms spares.</summary>
    public const string OwnApplication = "backoffice";

    /// <summary>Registers the data source under its name, once however many systems share it.</summary>
    public static void AddDatabase(this IHostApplicationBuilder builder, string name)
    {
        if (builder.Properties.TryAdd($"database:{name}", true))
        {
            builder.AddKeyedNpgsqlDataSource(
                name, configureDataSourceBuilder: source => source.ConnectionStringBuilder.ApplicationName = OwnApplication);
        }
    }
}
