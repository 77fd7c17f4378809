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
            await products.StartRowAsync(ct);
            await products.WriteAsync(product.Sku, NpgsqlDbType.Text, ct);
            await products.WriteAsync(product.Name, NpgsqlDbType.Text, ct);
            await products.WriteAsync(product.NameDe, NpgsqlDbType.Text, ct);
            await products.WriteAsync(product.Description, NpgsqlDbType.Text, ct);
            await products.WriteAsync(product.Brand, NpgsqlDbType.Text, ct);
            await products.WriteAsync(product.Category.Code, NpgsqlDbType.Text, ct);
            await products.WriteAsync(product.ListPrice, NpgsqlDbType.Numeric, ct);
            await products.WriteAsync(product.SalePrice, NpgsqlDbType.Numeric, ct);
            await products.WriteAsync(Company.Currency, NpgsqlDbType.Text, ct);
            await products.WriteAsync(product.Ean, NpgsqlDbType.Text, ct);
            await products.WriteAsync(product.Colour, NpgsqlDbType.Text, ct);
            await products.WriteAsync(product.Size, NpgsqlDbType.Text, ct);
            await products.WriteAsync(product.WeightGrams, NpgsqlDbType.Integer, ct);
            await products.WriteAsync($"https://images.example.com/products/{product.Sku}/{{size}}.jpg", NpgsqlDbType.Text, ct);
            await products.WriteAsync(product.Active, NpgsqlDbType.Boolean, ct);
            await products.WriteAsync(product.LaunchedOn, NpgsqlDbType.Date, ct);
            await products.WriteAsync(1, NpgsqlDbType.Integer, ct);
            await products.WriteAsync(product.ModifiedAt, NpgsqlDbType.TimestampTz, ct);
        }

        await products.CompleteAsync(ct);
    }
}
