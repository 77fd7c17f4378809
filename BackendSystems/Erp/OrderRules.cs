using System.Globalization;
using System.Text.RegularExpressions;
using BackendSystems.Seeding;

namespace BackendSystems.Erp;

/// <summary>What the Erp takes as an order, as far as it can tell without its tables.</summary>
internal static partial class OrderRules
{
    private const decimal LargestAmount = 9_999_999_999.99m;

    /// <returns>The first rule that is broken, or null.</returns>
    public static InvalidOrder? Check(NewOrder order)
    {
        var wrong = Text(order.ExternalReference, "ExternalReference", 60)
            ?? Text(order.ShipTo?.Name, "ShipTo.Name", 120)
            ?? Text(order.ShipTo?.Street, "ShipTo.Street", 120)
            ?? Text(order.ShipTo?.PostalCode, "ShipTo.PostalCode", 10)
            ?? Text(order.ShipTo?.City, "ShipTo.City", 60)
            ?? Text(order.ShipTo?.CountryCode, "ShipTo.CountryCode", 2);
        if (wrong is not null)
        {
            return wrong;
        }

        if (!Country().IsMatch(order.ShipTo!.CountryCode!))
        {
            return Wrong("OUT_OF_RANGE", "ShipTo.CountryCode", "must be ISO 3166-1 alpha-2, such as DE.");
        }

        if (order.Currency != Company.Currency)
        {
            return Wrong("BAD_CURRENCY", "Currency", $"must be {Company.Currency}.");
        }

        if (order.Plant is not null && !Company.Stores.Any(store => store.Code == order.Plant))
        {
            return Wrong("UNKNOWN_PLANT", "Plant", "must be one of W01 to W12, or left out.");
        }

        if (order.Lines is not { Length: > 0 } lines)
        {
            return Wrong("REQUIRED", "Lines", "must hold at least one Line.");
        }

        if (lines.Length > 100)
        {
            return Wrong("TOO_MANY_LINES", "Lines", "must hold at most 100 lines.");
        }

        return lines.Select(Line).FirstOrDefault(found => found is not null)
            ?? (lines.Sum(line => line.Quantity * line.UnitPrice) > LargestAmount
                ? Wrong("OUT_OF_RANGE", "Lines", string.Create(CultureInfo.InvariantCulture, $"must come to {LargestAmount} at most."))
                : null);
    }

    private static InvalidOrder? Line(NewOrderLine? line, int at)
    {
        var field = $"Lines[{at}]";
        if (Text(line?.ArticleNo, $"{field}.ArticleNo", 18) is { } wrong)
        {
            return wrong;
        }

        if (line!.Quantity is < 1 or > 9_999)
        {
            return Wrong("OUT_OF_RANGE", $"{field}.Quantity", "must be from 1 to 9999.");
        }

        return line.UnitPrice is < 0.01m or > 1_000_000m || decimal.Round(line.UnitPrice, 2) != line.UnitPrice
            ? Wrong("OUT_OF_RANGE", $"{field}.UnitPrice", "must be from 0.01 to 1000000.00 with at most two decimals.")
            : null;
    }

    private static InvalidOrder? Text(string? value, string field, int longest)
    {
        if (string.IsNullOrWhiteSpace(value))
        {
            return Wrong("REQUIRED", field, "is required.");
        }

        return value.Length > longest ? Wrong("OUT_OF_RANGE", field, $"has at most {longest} characters.") : null;
    }

    private static InvalidOrder Wrong(string code, string field, string rule) => new() { Code = code, Field = field, Message = $"{field} {rule}" };

    [GeneratedRegex(@"^[A-Z]{2}\z")]
    private static partial Regex Country();
}
