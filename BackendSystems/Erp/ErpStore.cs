using System.Globalization;
using BackendSystems.Seeding;
using BackendSystems.Webhooks;
using Dapper;
using Npgsql;

namespace BackendSystems.Erp;

/// <summary>All SQL of the Erp.</summary>
internal sealed class ErpStore(
    [FromKeyedServices(Databases.Backend)] NpgsqlDataSource database, [FromKeyedServices(ErpSetup.Name)] WebhookChannel webhooks, TimeProvider time)
{
    private const string Amounts = """
        o.order_no::text as order_no, o.customer_no::text as customer_no, o.external_reference, o.status, o.currency,
        o.net_amount, o.tax_amount, o.gross_amount, o.order_date, o.changed_at, o.revision
        """;

    public async Task<OrderHeader[]> ListAsync(int customerNo, DateTime? from, int maxRows, CancellationToken ct)
    {
        const string Sql = $"""
            select {Amounts}, (select count(*)::int from erp.order_lines l where l.order_no = o.order_no) as line_count
            from erp.orders o
            where o.customer_no = @customerNo and (@from::timestamptz is null or o.order_date >= @from)
            order by o.order_date desc, o.order_no desc limit @maxRows
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        return [.. await connection.QueryAsync<OrderHeader>(new CommandDefinition(Sql, new { customerNo, from, maxRows }, cancellationToken: ct))];
    }

    public async Task<Order?> FindAsync(long orderNo, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await ReadAsync(connection, "o.order_no = @key", orderNo, ct);
    }

    /// <returns>The order, new or as it was placed before under its reference, or why it is refused.</returns>
    public async Task<(Order? Placed, InvalidOrder? Refused)> PlaceAsync(NewOrder order, int customerNo, byte[] hash, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await connection.ExecuteScalarAsync<bool>(new CommandDefinition(
            "select exists(select from erp.customers where customer_no = @customerNo)", new { customerNo }, transaction, cancellationToken: ct)))
        {
            return (null, new() { Code = "UNKNOWN_CUSTOMER", Field = "CustomerNo", Message = $"There is no customer {customerNo}." });
        }

        var articles = (await connection.QueryAsync<(string ArticleNo, string Description)>(new CommandDefinition(
            "select article_no, description from erp.articles where article_no = any(@numbers)",
            new { numbers = order.Lines!.Select(line => line.ArticleNo).ToArray() }, transaction, cancellationToken: ct)))
            .ToDictionary(article => article.ArticleNo, article => article.Description);
        if (order.Lines!.Select((line, at) => (line, at)).FirstOrDefault(found => !articles.ContainsKey(found.line.ArticleNo!)) is { line: { } unknown } missing)
        {
            return (null, new()
            {
                Code = "UNKNOWN_ARTICLE",
                Field = $"Lines[{missing.at}].ArticleNo",
                Message = $"There is no article '{unknown.ArticleNo}'. Article numbers look like 100042.",
            });
        }

        if (await InsertAsync(transaction, order, customerNo, hash, ct) is not { } orderNo)
        {
            return await PlacedBeforeAsync(connection, order.ExternalReference!, hash, ct);
        }

        await InsertLinesAsync(transaction, orderNo, order.Lines!, articles, ct);
        var placed = (await ReadAsync(connection, "o.order_no = @key", orderNo, ct))!;
        await webhooks.AddAsync(transaction, [Event("order.created", new(orderNo, customerNo, placed.ExternalReference, placed.Status, null, 1))], ct);
        await transaction.CommitAsync(ct);
        webhooks.Wake();
        return (placed, null);
    }

    /// <returns>The order as it is now, cancelled or not cancellable, or null when there is none.</returns>
    public async Task<Order?> CancelAsync(long orderNo, string? reason, CancellationToken ct)
    {
        const string Cancel = """
            with before as (select order_no, status from erp.orders where order_no = @orderNo and status in ('OPEN', 'PICKED') for update)
            update erp.orders o
            set status = 'CANCELLED', cancel_reason = nullif(@reason, ''), changed_at = @now, revision = revision + 1
            from before b where o.order_no = b.order_no
            returning o.order_no, o.customer_no, o.external_reference, o.status, b.status as previous_status, o.revision
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var moved = (await connection.QueryAsync<Moved>(new CommandDefinition(
            Cancel, new { orderNo, reason, now = time.GetUtcNow() }, transaction, cancellationToken: ct))).AsList();
        await webhooks.AddAsync(transaction, [.. moved.Select(order => Event("order.updated", order))], ct);
        var order = await ReadAsync(connection, "o.order_no = @key", orderNo, ct);
        await transaction.CommitAsync(ct);
        webhooks.Wake();
        return order;
    }

    /// <summary>Orders chosen by the seed go one step on.</summary>
    public async Task<IReadOnlyList<string>> AdvanceAsync(int count, int seed, CancellationToken ct)
    {
        const string Advance = """
            with before as (
                select order_no, status from erp.orders where status in ('OPEN', 'PICKED', 'SHIPPED')
                order by md5(order_no::text || ':' || @seed), order_no limit @count for update)
            update erp.orders o
            set status = case b.status when 'OPEN' then 'PICKED' when 'PICKED' then 'SHIPPED' else 'DELIVERED' end,
                carrier = case b.status when 'PICKED' then 'DHL' else o.carrier end,
                tracking_no = case b.status when 'PICKED' then 'JJD' || o.order_no else o.tracking_no end,
                changed_at = @now, revision = revision + 1
            from before b where o.order_no = b.order_no
            returning o.order_no, o.customer_no, o.external_reference, o.status, b.status as previous_status, o.revision
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            "select pg_advisory_xact_lock(hashtext('erp.simulate'))", transaction: transaction, cancellationToken: ct));
        var moved = (await connection.QueryAsync<Moved>(new CommandDefinition(
            Advance, new { seed = seed.ToString(CultureInfo.InvariantCulture), count, now = time.GetUtcNow() }, transaction, cancellationToken: ct)))
            .OrderBy(order => order.OrderNo).ToList();
        await webhooks.AddAsync(transaction, [.. moved.Select(order => Event("order.updated", order))], ct);
        await transaction.CommitAsync(ct);
        webhooks.Wake();
        return [.. moved.Select(order => order.OrderNo.ToString(CultureInfo.InvariantCulture))];
    }

    private async Task<long?> InsertAsync(NpgsqlTransaction transaction, NewOrder order, int customerNo, byte[] hash, CancellationToken ct)
    {
        const string Insert = """
            insert into erp.orders
                (customer_no, external_reference, request_hash, status, currency, net_amount, tax_amount, gross_amount, order_date, changed_at, revision,
                 plant, ship_name, ship_street, ship_postal_code, ship_city, ship_country_code)
            values (@customerNo, @reference, @hash, 'OPEN', @currency, @net, @tax, @gross, @now, @now, 1,
                 @plant, @name, @street, @postalCode, @city, @countryCode)
            on conflict (external_reference) do nothing
            returning order_no
            """;
        var gross = order.Lines!.Sum(line => line.Quantity * line.UnitPrice);
        var net = decimal.Round(gross / (1 + Company.TaxRate), 2);
        return await transaction.Connection!.QuerySingleOrDefaultAsync<long?>(new CommandDefinition(Insert, new
        {
            customerNo,
            reference = order.ExternalReference,
            hash,
            currency = order.Currency,
            net,
            tax = gross - net,
            gross,
            now = time.GetUtcNow(),
            plant = order.Plant,
            name = order.ShipTo!.Name,
            street = order.ShipTo.Street,
            postalCode = order.ShipTo.PostalCode,
            city = order.ShipTo.City,
            countryCode = order.ShipTo.CountryCode,
        }, transaction, cancellationToken: ct));
    }

    private static Task<int> InsertLinesAsync(
        NpgsqlTransaction transaction, long orderNo, NewOrderLine[] lines, Dictionary<string, string> articles, CancellationToken ct)
    {
        const string Insert = """
            insert into erp.order_lines (order_no, position, article_no, description, quantity, unit_price, line_amount)
            select @orderNo, position * 10, article_no, description, quantity, unit_price, quantity * unit_price
            from unnest(@articles, @descriptions, @quantities, @prices) with ordinality as l(article_no, description, quantity, unit_price, position)
            """;
        return transaction.Connection!.ExecuteAsync(new CommandDefinition(Insert, new
        {
            orderNo,
            articles = lines.Select(line => line.ArticleNo).ToArray(),
            descriptions = lines.Select(line => articles[line.ArticleNo!]).ToArray(),
            quantities = lines.Select(line => line.Quantity).ToArray(),
            prices = lines.Select(line => line.UnitPrice).ToArray(),
        }, transaction, cancellationToken: ct));
    }

    private static async Task<(Order?, InvalidOrder?)> PlacedBeforeAsync(NpgsqlConnection connection, string reference, byte[] hash, CancellationToken ct)
    {
        var known = await connection.QuerySingleAsync<byte[]?>(new CommandDefinition(
            "select request_hash from erp.orders where external_reference = @reference", new { reference }, cancellationToken: ct));
        return known is not null && known.AsSpan().SequenceEqual(hash)
            ? (await ReadAsync(connection, "o.external_reference = @key", reference, ct), null)
            : (null, new()
            {
                Code = "REFERENCE_REUSED",
                Field = "ExternalReference",
                Message = $"Another order was placed under '{reference}'. Use a new reference for a new order.",
            });
    }

    private static async Task<Order?> ReadAsync(NpgsqlConnection connection, string condition, object key, CancellationToken ct)
    {
        var sql = $"""
            select {Amounts}, o.plant, o.carrier, o.tracking_no, o.cancel_reason,
                o.ship_name as name, o.ship_street as street, o.ship_postal_code as postal_code, o.ship_city as city, o.ship_country_code as country_code
            from erp.orders o where {condition};
            select l.position, l.article_no, l.description, l.quantity, l.unit_price, l.line_amount
            from erp.order_lines l join erp.orders o on o.order_no = l.order_no where {condition} order by l.position
            """;
        await using var results = await connection.QueryMultipleAsync(new CommandDefinition(sql, new { key }, cancellationToken: ct));
        var order = results.Read<Order, ShipTo, Order>((order, shipTo) =>
        {
            order.ShipTo = shipTo;
            return order;
        }, splitOn: "name").SingleOrDefault();
        if (order is not null)
        {
            order.Lines = [.. await results.ReadAsync<OrderLine>()];
        }

        return order;
    }

    private static WebhookEvent Event(string type, Moved order)
    {
        var orderNo = order.OrderNo.ToString(CultureInfo.InvariantCulture);
        return new(type, orderNo, new
        {
            orderNo,
            customerNo = order.CustomerNo.ToString(CultureInfo.InvariantCulture),
            order.ExternalReference,
            order.Status,
            order.PreviousStatus,
            order.Revision,
        });
    }

    private sealed record Moved(long OrderNo, int CustomerNo, string? ExternalReference, string Status, string? PreviousStatus, int Revision);
}
