using BackendSystems.Seeding;
using Npgsql;

namespace BackendSystems.Crm;

/// <summary>Fills an empty Crm before the host listens.</summary>
internal sealed class CrmSeed([FromKeyedServices(Databases.Backend)] NpgsqlDataSource database, Seeder seeder) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) =>
        seeder.RunAsync(database, CrmSetup.Name, "crm.customers", WriteAsync, cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static Task WriteAsync(NpgsqlConnection connection, CancellationToken ct) => connection.CopyAsync(
        "crm.customers (customer_no, rev, modified_at, tier, points, member_since, fields, search)", SeedCustomers.Generate().Select(Row), ct);

    private static object?[] Row(SeedCustomer customer)
    {
        var fields = Fields(customer);
        return
        [
            customer.Number, 1, customer.ModifiedAt, customer.Tier, customer.Points, customer.MemberSince, fields.ToJson(), fields.SearchText(),
        ];
    }

    private static CustomerFields Fields(SeedCustomer customer)
    {
        var home = Address("home", true, customer.Home);
        return new(
            new(customer.Salutation, customer.Given, customer.Family), customer.Email, customer.Phone, customer.BirthDate, customer.Language,
            customer.Work is { } work ? [home, Address("work", false, work)] : [home],
            new(customer.FavouriteStore, customer.Channels, customer.Newsletter),
            new(customer.Marketing, customer.Profiling, customer.ConsentAt.UtcDateTime));
    }

    private static CustomerAddress Address(string type, bool primary, SeedAddress address) => new(
        type, primary, address.Street, address.HouseNumber, address.Postcode, address.City.Name, address.City.Country, address.Latitude, address.Longitude);
}
