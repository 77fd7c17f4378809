using System.Globalization;
using BackendSystems.Seeding;
using Bogus;
using Npgsql;
using NpgsqlTypes;

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

        await using (var copy = await connection.BeginBinaryImportAsync(
            "copy erp.customers (customer_no, name, street, postal_code, city, country_code) from stdin (format binary)", ct))
        {
            foreach (var customer in customers)
            {
                var home = customer.Home;
                await copy.WriteRowAsync(ct, customer.Number, Name(customer), Street(customer), home.Postcode, home.City.Name, home.City.Country);
            }

            await copy.CompleteAsync(ct);
        }

        await using (var copy = await connection.BeginBinaryImportAsync("copy erp.articles (article_no, description) from stdin (format binary)", ct))
        {
            foreach (var product in products)
            {
                await copy.WriteRowAsync(ct, product.Sku, Description(product));
            }

            await copy.CompleteAsync(ct);
        }

        await using (var copy = await connection.BeginBinaryImportAsync("copy erp.plants (plant) from stdin (format binary)", ct))
        {
            foreach (var store in Company.Stores)
            {
                await copy.WriteRowAsync(ct, store.Code);
            }

            await copy.CompleteAsync(ct);
        }

        await WriteOrdersAsync(connection, orders, ct);
        await using var lines = await connection.BeginBinaryImportAsync(
            "copy erp.order_lines (order_no, position, article_no, description, quantity, unit_price, line_amount) from stdin (format binary)", ct);
        foreach (var order in orders)
        {
            for (var at = 0; at < order.Lines.Length; at++)
            {
                var (product, quantity) = order.Lines[at];
                lines.StartRow();
                lines.Write(order.Number, NpgsqlDbType.Bigint);
                lines.Write((at + 1) * 10, NpgsqlDbType.Integer);
                lines.Write(product.Sku, NpgsqlDbType.Text);
                lines.Write(Description(product), NpgsqlDbType.Text);
                lines.Write(quantity, NpgsqlDbType.Integer);
                lines.Write(product.ListPrice, NpgsqlDbType.Numeric);
                lines.Write(product.ListPrice * quantity, NpgsqlDbType.Numeric);
            }
        }

        await lines.CompleteAsync(ct);
    }

    private static async Task WriteOrdersAsync(NpgsqlConnection connection, List<SeedOrder> orders, CancellationToken ct)
    {
        await using var copy = await connection.BeginBinaryImportAsync(
            """
            copy erp.orders (order_no, customer_no, status, currency, net_amount, tax_amount, gross_amount, order_date, changed_at, revision, plant,
                ship_name, ship_street, ship_postal_code, ship_city, ship_country_code, carrier, tracking_no) from stdin (format binary)
            """, ct);
        foreach (var order in orders)
        {
            var gross = order.Lines.Sum(line => line.Product.ListPrice * line.Quantity);
            var net = decimal.Round(gross / (1 + Company.TaxRate), 2);
            var shipped = order.Status is "SHIPPED" or "DELIVERED";
            copy.StartRow();
            copy.Write(order.Number, NpgsqlDbType.Bigint);
            copy.Write(order.Customer.Number, NpgsqlDbType.Integer);
            copy.Write(order.Status, NpgsqlDbType.Text);
            copy.Write(Company.Currency, NpgsqlDbType.Text);
            copy.Write(net, NpgsqlDbType.Numeric);
            copy.Write(gross - net, NpgsqlDbType.Numeric);
            copy.Write(gross, NpgsqlDbType.Numeric);
            copy.Write(order.PlacedAt, NpgsqlDbType.TimestampTz);
            copy.Write(order.ChangedAt, NpgsqlDbType.TimestampTz);
            copy.Write(order.Revision, NpgsqlDbType.Integer);
            copy.Write(order.Plant, NpgsqlDbType.Text);
            copy.Write(Name(order.Customer), NpgsqlDbType.Text);
            copy.Write(Street(order.Customer), NpgsqlDbType.Text);
            copy.Write(order.Customer.Home.Postcode, NpgsqlDbType.Text);
            copy.Write(order.Customer.Home.City.Name, NpgsqlDbType.Text);
            copy.Write(order.Customer.Home.City.Country, NpgsqlDbType.Text);
            copy.Write(shipped ? "DHL" : null, NpgsqlDbType.Text);
            copy.Write(shipped ? string.Create(CultureInfo.InvariantCulture, $"JJD{order.Number}") : null, NpgsqlDbType.Text);
        }

        await copy.CompleteAsync(ct);
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
