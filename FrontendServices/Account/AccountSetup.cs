using FrontendServices.Sections;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace FrontendServices.Account;

public static class AccountSetup
{
    private const string Database = "frontenddb";

    public static void AddAccount(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddServiceClient<CustomersClient>("customers");
        builder.AddNpgsqlDataSource(Database);
        builder.AddMigrations<AccountStore>(Database, "account");
        builder.Services.AddSingleton<AccountStore>();
    }
}
