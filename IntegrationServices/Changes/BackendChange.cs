using System.Globalization;
using System.Text.Json;
using IntegrationServices.Connectors;
using IntegrationServices.Customers;
using IntegrationServices.Inventory;
using IntegrationServices.Orders;
using IntegrationServices.Products;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;

namespace IntegrationServices.Changes;

/// <summary>How the changes that backend systems report become events; each system's fields are in the record beside its method.</summary>
internal static class BackendChange
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    /// <summary>The systems that report changes, and the types of their webhooks.</summary>
    public static readonly IReadOnlyDictionary<string, string[]> Types = new Dictionary<string, string[]>
    {
        [Crm.Name] = ["customer.updated"],
        [Erp.Name] = ["order.created", "order.updated"],
        [Pim.Name] = ["product.price_changed"],
        [Wms.Name] = ["stock.moved"],
    };

    /// <param name="body">A webhook's: <c>type</c>, <c>timestamp</c>, <c>data</c>.</param>
    /// <exception cref="ChangeException">It is none, or lacks something.</exception>
    public static NewEvent Read(string system, string body)
    {
        try
        {
            var change = JsonSerializer.Deserialize<Body>(body, Json) ?? throw new ChangeException("It is null.");
            var record = new SourceRecord(system, $"the change {change.Type}");
            var at = record.Required(change.Timestamp);
            var data = record.Required(change.Data);
            return (system, record.Required(change.Type)) switch
            {
                (Crm.Name, "customer.updated") => Customer(record, at, data.Deserialize<CrmChange>(Json)!),
                (Erp.Name, "order.created" or "order.updated") => Order(record, at, data.Deserialize<ErpChange>(Json)!),
                (Pim.Name, "product.price_changed") => Price(record, at, data.Deserialize<PimChange>(Json)!),
                (Wms.Name, "stock.moved") => Stock(record, at, data.Deserialize<WmsChange>(Json)!),
                _ => throw new ChangeException($"{system} has no change '{change.Type}' that is known here."),
            };
        }
        catch (Exception exception) when (exception is JsonException or BackendException or NotSupportedException)
        {
            throw new ChangeException(exception is BackendException ? exception.Message : $"It is not the JSON of a change: {exception.Message}", exception);
        }
    }

    /// <summary>What a system that was asked answered, in the form of its webhook.</summary>
    public static string Write(string type, DateTimeOffset at, object data) =>
        JsonSerializer.Serialize(new { type, timestamp = at.UtcDateTime, data }, Json);

    private static NewEvent Customer(SourceRecord record, DateTimeOffset at, CrmChange source)
    {
        var id = Id(record, record.Required(source.Id), Ids.IsCustomer, "id");
        var changed = record.Entries(source.Changed);
        return changed.All(name => Text.IsPlain(name, 100))
            ? NewEvent.Of(CustomerChanged.SubjectOf(id), record.Required(source.Rev), at, new CustomerChanged(id, changed))
            : throw record.Wrong("changed", "has an entry that is no name of a field");
    }

    private static NewEvent Order(SourceRecord record, DateTimeOffset at, ErpChange source)
    {
        var id = Id(record, record.Required(source.OrderNo), Ids.IsOrder, "orderNo");
        var customer = int.TryParse(record.Required(source.CustomerNo), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < 1_000_000
            ? string.Create(CultureInfo.InvariantCulture, $"C-{number:000000}")
            : throw record.Wrong("customerNo", $"is '{Short(source.CustomerNo)}'");
        return NewEvent.Of(
            OrderChanged.SubjectOf(id), record.Required(source.Revision), at,
            new OrderChanged(
                id,
                customer,
                record.OneOf<OrderStatus>(source.Status, "status"),
                source.PreviousStatus is null ? null : record.OneOf<OrderStatus>(source.PreviousStatus, "previousStatus")));
    }

    private static NewEvent Price(SourceRecord record, DateTimeOffset at, PimChange source)
    {
        var id = Id(record, record.Required(source.Sku), Ids.IsProduct, "sku");
        var currency = record.Required(source.Currency);
        var list = record.Money(record.Required(source.ListPrice), currency, "listPrice");
        var sale = source.SalePrice is { } price ? record.Money(price, currency, "salePrice") : null;
        return NewEvent.Of(PriceChanged.SubjectOf(id), record.Required(source.Revision), at, new PriceChanged(id, sale ?? list, sale is null ? null : list));
    }

    private static NewEvent Stock(SourceRecord record, DateTimeOffset at, WmsChange source)
    {
        var product = Id(record, record.Required(source.ArtNo), Ids.IsProduct, "artNo");
        var store = Id(record, record.Required(source.WhsCd), Ids.IsStore, "whsCd");
        return NewEvent.Of(
            StockChanged.SubjectOf(product, store), record.Required(source.MvNo), at, new StockChanged(product, store, source.QtyOh, source.QtyRsv));
    }

    private static string Id(SourceRecord record, string id, Predicate<string> isValid, string field) =>
        isValid(id) ? id : throw record.Wrong(field, $"is '{Short(id)}'");

    private static string? Short(string? text) => text is { Length: > 40 } ? text[..40] + "..." : text;

    private sealed record Body(string? Type, DateTimeOffset? Timestamp, JsonElement? Data);

    private sealed record CrmChange(string? Id, long? Rev, List<string?>? Changed);

    private sealed record ErpChange(string? OrderNo, string? CustomerNo, string? Status, string? PreviousStatus, long? Revision);

    private sealed record PimChange(string? Sku, decimal? ListPrice, decimal? SalePrice, string? Currency, long? Revision);

    private sealed record WmsChange(long? MvNo, string? WhsCd, string? ArtNo, int? QtyOh, int? QtyRsv);
}

/// <summary>A change that cannot be understood; the message is the reason.</summary>
internal sealed class ChangeException(string reason, Exception? inner = null) : Exception(reason, inner);
