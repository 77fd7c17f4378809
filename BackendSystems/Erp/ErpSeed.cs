using System.Globalization;
using BackendSystems.Seeding;
using Bogus;
using Dapper;
using Npgsql;

namespace BackendSystems.Erp;

/// <summary>Fills an empty Erp before the host listens: two years of orders, those of the last month still on their way.</summary>
internal sealed class ErpSeed([FromKeyedServices(Databases.Backend)] NpgsqlDataSource database, Seeder seeder) : IHostedService
{
    private const int Minutes = 729 * 24 * 60;

    public Task StartAsync(CancellationToken cancellationToken) =>
        seeder.RunAsync(database, ErpSetup.Name, "erp.orders", WriteAsync, cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static async Task WriteAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        var customers = SeedCustomers.Generate();
        var products = SeedProducts.Generate().ToList();
        var orders = Orders(customers, products).ToList();

        await connection.CopyAsync(
            "erp.customers (customer_no, name, street, postal_code, city, country_code)",
            customers.Select(customer => (object?[])
            [
                customer.Number, Name(customer), Street(customer), customer.Home.Postcode, customer.Home.City.Name, customer.Home.City.Country,
            ]),
            ct);
        await connection.CopyAsync("erp.articles (article_no, description)", products.Select(product => (object?[])[product.Sku, Description(product)]), ct);
        await connection.CopyAsync("erp.plants (plant)", Company.Stores.Select(store => (object?[])[store.Code]), ct);

        // A foreign key that comes after the rows is checked in one pass, else row by row.
        await ExecuteAsync(connection, "alter table erp.orders drop constraint orders_customer_no_fkey, drop constraint orders_plant_fkey", ct);
        await connection.CopyAsync(
            """
            erp.orders (order_no, customer_no, status, currency, net_amount, tax_amount, gross_amount, order_date, changed_at, revision, plant,
                ship_name, ship_street, ship_postal_code, ship_city, ship_country_code, carrier, tracking_no)
            """,
            orders.Select(Row),
            ct);
        await ExecuteAsync(
            connection,
            """
            alter table erp.orders add foreign key (customer_no) references erp.customers (customer_no), add foreign key (plant) references erp.plants (plant);
            alter table erp.order_lines drop constraint order_lines_order_no_fkey;
            """,
            ct);
        await connection.CopyAsync(
            "erp.order_lines (order_no, position, article_no, description, quantity, unit_price, line_amount)", orders.SelectMany(Lines), ct);
        await ExecuteAsync(connection, "alter table erp.order_lines add foreign key (order_no) references erp.orders (order_no)", ct);
    }

    private static Task<int> ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken ct) =>
        connection.ExecuteAsync(new CommandDefinition(sql, cancellationToken: ct));

    private static object?[] Row(SeedOrder order)
    {
        var gross = order.Lines.Sum(line => line.Product.ListPrice * line.Quantity);
        var net = decimal.Round(gross / (1 + Company.TaxRate), 2);
        var shipped = order.Status is "SHIPPED" or "DELIVERED";
        var home = order.Customer.Home;
        return
        [
            order.Number, order.Customer.Number, order.Status, Company.Currency, net, gross - net, gross, order.PlacedAt, order.ChangedAt, order.Revision,
            order.Plant, Name(order.Customer), Street(order.Customer), home.Postcode, home.City.Name, home.City.Country, shipped ? "DHL" : null,
            shipped ? string.Create(CultureInfo.InvariantCulture, $"JJD{order.Number}") : null,
        ];
    }

    private static IEnumerable<object?[]> Lines(SeedOrder order)
    {
        for (var at = 0; at < order.Lines.Length; at++)
        {
            var (product, quantity) = order.Lines[at];
            yield return
            [
                order.Number, (at + 1) * 10, product.Sku, Description(product), quantity, product.ListPrice, product.ListPrice * quantity,
            ];
        }
    }

    /// <summary>Everybody ordered at least twice, some far more often; order numbers rise with time.</summary>
    private static IEnumerable<SeedOrder> Orders(SeedCustomer[] customers, List<SeedProduct> products)
    {
        var random = new Randomizer(20260702);
        var turns = random.Shuffle(customers).ToList();
        for (var index = 0; index < Company.OrderCount; index++)
        {
            var customer = index % 2 == 0 ? turns[index / 2 % turns.Count] : customers[(int)(Math.Pow(random.Double(), 2) * customers.Length)];
            var ago = (int)((long)(Company.OrderCount - index) * Minutes / Company.OrderCount) - random.Number(0, 40);
            var placedAt = Company.Epoch.AddMinutes(-Math.Max(ago, 1)).AddSeconds(random.Number(0, 59));
            var days = ago / 1440;
            var (status, revision) = random.Bool(0.04f) ? ("CANCELLED", 2)
                : days > 30 ? ("DELIVERED", 4)
                : days > 20 ? ("SHIPPED", 3)
                : days > 10 ? ("PICKED", 2)
                : ("OPEN", 1);
            var changedAt = revision == 1 ? placedAt : placedAt.AddMinutes(Math.Min(Math.Max(ago - 1, 0), random.Number(60, 1_440) * revision));
            var lines = Enumerable.Range(0, random.Number(1, 4))
                .Select(_ => (products[random.Number(0, products.Count - 1)], random.WeightedRandom(Quantities, QuantityWeights)))
                .ToArray();
            yield return new(Company.FirstOrder + index, customer, status, placedAt, changedAt, revision,
                random.Bool(0.25f) ? random.ListItem((IList<Store>)Company.Stores).Code : null, lines);
        }
    }

    private static readonly int[] Quantities = [1, 2, 3];
    private static readonly float[] QuantityWeights = [0.8f, 0.15f, 0.05f];

    private static string Name(SeedCustomer customer) => $"{customer.Given} {customer.Family}";

    private static string Street(SeedCustomer customer) => $"{customer.Home.Street} {customer.Home.HouseNumber}";

    /// <summary>The Erp's descriptions are short and upper case, as they are printed on a receipt.</summary>
    private static string Description(SeedProduct product)
    {
        var text = $"{product.Brand} {product.Name}".ToUpperInvariant();
        return text.Length > 40 ? text[..40].TrimEnd() : text;
    }

    private sealed record SeedOrder(
        long Number, SeedCustomer Customer, string Status, DateTimeOffset PlacedAt, DateTimeOffset ChangedAt, int Revision, string? Plant,
        (SeedProduct Product, int Quantity)[] Lines);
}
