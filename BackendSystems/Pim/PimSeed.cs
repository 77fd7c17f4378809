using BackendSystems.Seeding;
using Npgsql;
using NpgsqlTypes;

namespace BackendSystems.Pim;

/// <summary>Fills an empty Pim before the host listens.</summary>
internal sealed class PimSeed([FromKeyedServices(Databases.Backend)] NpgsqlDataSource database, Seeder seeder) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) =>
        seeder.RunAsync(database, PimSetup.Name, "pim.products", WriteAsync, cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static async Task WriteAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        await using (var copy = await connection.BeginBinaryImportAsync(
            "copy pim.categories (code, name, name_de, department, sort_order) from stdin (format binary)", ct))
        {
            foreach (var category in SeedProducts.Categories)
            {
                await copy.WriteRowAsync(ct, category.Code, category.Name, category.NameDe, category.Department, category.SortOrder);
            }

            await copy.CompleteAsync(ct);
        }

        await using var products = await connection.BeginBinaryImportAsync(
            """
            copy pim.products (sku, name, name_de, description, brand, category_code, list_price, sale_price, currency, ean, colour, size, weight_grams,
                image_url, active, launched_on, revision, last_modified) from stdin (format binary)
            """, ct);
        foreach (var product in SeedProducts.Generate())
        {
            products.StartRow();
            products.Write(product.Sku, NpgsqlDbType.Text);
            products.Write(product.Name, NpgsqlDbType.Text);
            products.Write(product.NameDe, NpgsqlDbType.Text);
            products.Write(product.Description, NpgsqlDbType.Text);
            products.Write(product.Brand, NpgsqlDbType.Text);
            products.Write(product.Category.Code, NpgsqlDbType.Text);
            products.Write(product.ListPrice, NpgsqlDbType.Numeric);
            products.Write(product.SalePrice, NpgsqlDbType.Numeric);
            products.Write(Company.Currency, NpgsqlDbType.Text);
            products.Write(product.Ean, NpgsqlDbType.Text);
            products.Write(product.Colour, NpgsqlDbType.Text);
            products.Write(product.Size, NpgsqlDbType.Text);
            products.Write(product.WeightGrams, NpgsqlDbType.Integer);
            products.Write($"https://images.example.com/products/{product.Sku}/{{size}}.jpg", NpgsqlDbType.Text);
            products.Write(product.Active, NpgsqlDbType.Boolean);
            products.Write(product.LaunchedOn, NpgsqlDbType.Date);
            products.Write(1, NpgsqlDbType.Integer);
            products.Write(product.ModifiedAt, NpgsqlDbType.TimestampTz);
        }

        await products.CompleteAsync(ct);
    }
}
