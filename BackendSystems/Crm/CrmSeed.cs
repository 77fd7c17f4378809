using BackendSystems.Seeding;
using Npgsql;
using NpgsqlTypes;

namespace BackendSystems.Crm;

/// <summary>Fills an empty Crm before the host listens.</summary>
internal sealed class CrmSeed([FromKeyedServices(Databases.Backend)] NpgsqlDataSource database, Seeder seeder) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) =>
        seeder.RunAsync(database, CrmSetup.Name, "crm.customers", WriteAsync, cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static async Task WriteAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var copy = await connection.BeginBinaryImportAsync(
            "copy crm.customers (customer_no, rev, modified_at, tier, points, member_since, fields, search) from stdin (format binary)", ct);
        foreach (var customer in SeedCustomers.Generate())
        {
            var fields = Fields(customer);
            copy.StartRow();
            copy.Write(customer.Number, NpgsqlDbType.Integer);
            copy.Write(1, NpgsqlDbType.Integer);
            copy.Write(customer.ModifiedAt, NpgsqlDbType.TimestampTz);
            copy.Write(customer.Tier, NpgsqlDbType.Text);
            copy.Write(customer.Points, NpgsqlDbType.Integer);
            copy.Write(customer.MemberSince, NpgsqlDbType.Date);
            copy.Write(fields.ToJson(), NpgsqlDbType.Jsonb);
            copy.Write(fields.SearchText(), NpgsqlDbType.Text);
        }

        await copy.CompleteAsync(ct);
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
