using IntegrationServices.Commands;
using IntegrationServices.Connectors;
using IntegrationServices.Reads;

namespace IntegrationServices.Customers;

public static class CustomersSetup
{
    internal const string Kind = "customers";

    public static void AddCustomers(this IHostApplicationBuilder builder)
    {
        builder.AddReads(Kind, freshSeconds: 10, staleSeconds: 3600);
        builder.AddRestConnector(Crm.Name);
        builder.Services.AddTransient<Crm>();
        builder.AddCommand<ChangeAddress>(saga => saga.Kind);
    }
}
