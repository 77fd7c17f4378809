using BackendSystems.Seeding;
using Npgsql;

namespace BackendSystems.Pim;

/// <summary>Fills an empty Pim before the host listens.</summary>
internal sealed class PimSeed([FromKeyedServices(Databases.Backend)] NpgsqlDataSource database, Seeder seeder) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) =>
        seeder.RunAsync(database, PimSetup.Name, "pim.products", WriteAsync, cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static async Task WriteAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        await connection.CopyAsync(
            "pim.categories (code, name, name_de, department, sort_order)",
            SeedProducts.Categories.Select(category => (object?[])[category.Code, category.Name, category.NameDe, category.Department, category.SortOrder]),
            ct);
        await connection.CopyAsync(
            """
            pim.products (sku, name, name_de, description, brand, category_code, list_price, sale_price, currency, ean, colour, size, weight_grams,
                image_url, active, launched_on, revision, last_modified)
            """,
            SeedProducts.Generate().Select(Row),
            ct);
    }

    private static object?[] Row(SeedProduct product) =>
    [
        product.Sku, product.Name, product.NameDe, product.Description, product.Brand, product.Category.Code, product.ListPrice, product.SalePrice,
        Company.Currency, product.Ean, product.Colour, product.Size, product.WeightGrams, $"https://images.example.com/products/{product.Sku}/{{size}}.jpg",
        product.Active, product.LaunchedOn, 1, product.ModifiedAt,
    ];
}
