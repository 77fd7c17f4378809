using IntegrationServices.Commands;
using IntegrationServices.Connectors;
using IntegrationServices.Inventory;
using MobileIntegration.Contracts;

namespace IntegrationServices.Orders;

/// <summary>The reservations of the Wms: two functions in another team's database. It knows a reservation by our reference.</summary>
internal sealed class Reservations([FromKeyedServices(Wms.Name)] SqlConnector connector)
{
    /// <summary>Reserves all lines or none; again for the same reference, nothing more.</summary>
    /// <returns>Null when they are reserved.</returns>
    public async Task<StepOutcome.Refused?> ReserveAsync(string reference, string storeId, IReadOnlyList<NewOrderLine> lines, CancellationToken ct)
    {
        var answers = await connector.WriteAsync<LineRow>(
            """
            select l.art_no, wms.rsv_add(@reference, @storeId, l.art_no, l.qty) as answer
            from unnest(@articles, @quantities) with ordinality as l(art_no, qty, position) order by l.art_no
            """,
            new
            {
                reference,
                storeId,
                articles = lines.Select(line => line.ProductId).ToArray(),
                quantities = lines.Select(line => line.Quantity).ToArray(),
            },
            rows => rows.TrueForAll(row => row.answer is "OK"),
            ct);
        return answers.Find(row => row.answer is not "OK") switch
        {
            null => null,
            { answer: "NS" } row => new("out-of-stock", $"The store {storeId} has not enough of the product {row.art_no}."),
            { answer: "NA" } row => new("unknown-product", $"There is no product {row.art_no} in a store {storeId}."),
            var row => throw BackendException.Misunderstood(Wms.Name, $"answered '{row.answer}' when it was asked to reserve {row.art_no} for {reference}"),
        };
    }

    /// <summary>Releases what is reserved under the reference, if anything is.</summary>
    public Task ReleaseAsync(string reference, CancellationToken ct) =>
        connector.WriteAsync<int>("select wms.rsv_rel(@reference)", new { reference }, _ => true, ct);

#pragma warning disable IDE1006 // the columns' own names
    private sealed record LineRow(string art_no, string answer);
#pragma warning restore IDE1006
}
