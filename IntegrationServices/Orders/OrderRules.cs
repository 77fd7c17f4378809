using MobileIntegration.Contracts;

namespace IntegrationServices.Orders;

/// <summary>What is taken as an order, as far as it can be told without the back office.</summary>
internal static class OrderRules
{
    private const int MostLines = 100;
    private const int MostPieces = 9_999;

    /// <returns>Everything that is wrong, by field; empty when all is well.</returns>
    public static Dictionary<string, string[]> Check(NewOrder order)
    {
        var errors = new Dictionary<string, string[]>();
        void Require(bool holds, string field, string rule)
        {
            if (!holds)
            {
                errors[field] = [rule];
            }
        }

        Require(Ids.IsCustomer(order.CustomerId), "customerId", "Must be a customer id such as C-000123.");
        Require(Ids.IsStore(order.StoreId), "storeId", "Must be a store id such as W07.");
        Require(Text.IsPlain(order.ShipTo?.Name, 120), "shipTo.name", "Must be text of at most 120 characters.");
        Require(Text.IsPlain(order.ShipTo?.Street, 120), "shipTo.street", "Must be text of at most 120 characters.");
        Require(Text.IsPlain(order.ShipTo?.Postcode, 10), "shipTo.postcode", "Must be text of at most 10 characters.");
        Require(Text.IsPlain(order.ShipTo?.City, 60), "shipTo.city", "Must be text of at most 60 characters.");
        Require(Text.IsCountry(order.ShipTo?.Country), "shipTo.country", "Must be ISO 3166-1 alpha-2, such as DE.");
        Require(order.Lines is { Count: >= 1 and <= MostLines }, "lines", $"Must be 1 to {MostLines} lines.");
        foreach (var (line, at) in (order.Lines ?? []).Take(MostLines).Select((line, at) => (line, at)))
        {
            Require(Ids.IsProduct(line?.ProductId), $"lines[{at}].productId", "Must be an article number such as 100042.");
            Require(line?.Quantity is >= 1 and <= MostPieces, $"lines[{at}].quantity", $"Must be from 1 to {MostPieces}.");
        }
        Require(order.Lines is null || order.Lines.Where(line => line is not null).GroupBy(line => line.ProductId).All(same => same.Count() is 1),
            "lines.productId", "Each product is in one line.");
        Require(order.ExpectedTotal is null or { Currency: [>= 'A' and <= 'Z', >= 'A' and <= 'Z', >= 'A' and <= 'Z'], MinorUnits: >= 0 }, "expectedTotal", "Must be an amount such as {\"currency\":\"EUR\",\"minorUnits\":1990}.");
        return errors;
    }
}
