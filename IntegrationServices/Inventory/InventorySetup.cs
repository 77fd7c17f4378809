using IntegrationServices.Connectors;

namespace IntegrationServices.Inventory;

public static class InventorySetup
{
    public static void AddInventory(this IHostApplicationBuilder builder)
    {
        builder.AddSqlConnector(Wms.Name, "wmsdb");
        builder.Services.AddSingleton<Wms>();
    }
}
