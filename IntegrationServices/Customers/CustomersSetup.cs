using IntegrationServices.Connectors;

namespace IntegrationServices.Customers;

public static class CustomersSetup
{
    public static void AddCustomers(this IHostApplicationBuilder builder)
    {
        builder.AddRestConnector(Crm.Name);
        builder.Services.AddTransient<Crm>();
    }
}
