using System.Globalization;
using BackendSystems.Seeding;
using BackendSystems.Webhooks;
using Dapper;
using Npgsql;

namespace BackendSystems.Pim;

/// <summary>The Pim's changes. Reading is OData's, through <see cref="PimContext"/>.</summary>
internal sealed class PimStore(
    [FromKeyedServices(Databases.Backend)] NpgsqlDataSource database, [FromKeyedServices(PimSetup.Name)] WebhookChannel webhooks, TimeProvider time)
{
    /// <summary>Products chosen by the seed get another list price, within 20 %, and some begin or end a sale.</summary>
    public async Task<IReadOnlyList<string>> ChangePricesAsync(int count, int seed, CancellationToken ct)
    {
        const string Choose = """
            select sku, list_price, sale_price from pim.products order by md5(sku || ':' || @seed), sku limit @count for update
            """;
        const string Update = """
            update pim.products p
            set list_price = c.list_price, sale_price = c.sale_price, revision = p.revision + 1, last_modified = @now
            from unnest(@skus, @listPrices, @salePrices) as c(sku, list_price, sale_price) where p.sku = c.sku
            returning p.sku, p.list_price, p.sale_price, p.revision
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "select pg_advisory_xact_lock(hashtext('pim.simulate'))", transaction: transaction, cancellationToken: ct));
        var chosen = (await connection.QueryAsync<Price>(new CommandDefinition(
            Choose, new { seed = seed.ToString(CultureInfo.InvariantCulture), count }, transaction, cancellationToken: ct))).AsList();
        var random = new Random(seed);
        var priced = chosen.ConvertAll(price => Change(price, random));
        var changed = (await connection.QueryAsync<Changed>(new CommandDefinition(Update, new
        {
            now = time.GetUtcNow(),
            skus = priced.Select(price => price.Sku).ToArray(),
            listPrices = priced.Select(price => price.ListPrice).ToArray(),
            salePrices = priced.Select(price => price.SalePrice).ToArray(),
        }, transaction, cancellationToken: ct))).OrderBy(product => product.Sku, StringComparer.Ordinal).ToList();
        await webhooks.AddAsync(transaction, changed.ConvertAll(product => new WebhookEvent("product.price_changed", product.Sku, new
        {
            product.Sku,
            product.ListPrice,
            product.SalePrice,
            Company.Currency,
            product.Revision,
        })), ct);
        await transaction.CommitAsync(ct);
        webhooks.Wake();
        return changed.ConvertAll(product => product.Sku);
    }

    private static Price Change(Price old, Random random)
    {
        var factor = 0.8m + (0.4m * (decimal)random.NextDouble());
        var listPrice = Math.Max(1m, decimal.Round(old.ListPrice * factor)) - 0.01m;
        var onSale = random.NextDouble() < 0.3 ? old.SalePrice is null : old.SalePrice is not null;
        return new(old.Sku, listPrice, onSale ? decimal.Round(listPrice * 0.8m, 2) : null);
    }

    private sealed record Price(string Sku, decimal ListPrice, decimal? SalePrice);

    private sealed record Changed(string Sku, decimal ListPrice, decimal? SalePrice, int Revision);
}
