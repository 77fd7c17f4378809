using IntegrationServices.Connectors;
using IntegrationServices.Reads;

namespace IntegrationServices.Inventory;

public static class InventorySetup
{
    internal const string Kind = "stock";
    internal const string StoresKind = "stores";

    public static void AddInventory(this IHostApplicationBuilder builder)
    {
        builder.AddReads(Kind, freshSeconds: 2, staleSeconds: 600);
        builder.AddReads(StoresKind, freshSeconds: 300, staleSeconds: 86_400);
        builder.AddSqlConnector(Wms.Name, "wmsdb");
        builder.Services.AddSingleton<Wms>();
    }
}
