using System.Globalization;
using System.ServiceModel;
using IntegrationServices.Connectors;
using MobileIntegration.Contracts;

namespace IntegrationServices.Orders;

/// <summary>The order system, SOAP 1.1; how its fields become ours stands in the two methods Map.</summary>
internal sealed class Erp(SoapConnector<IErpOrderService> connector)
{
    public const string Name = "erp";

    /// <summary>The customer's latest orders, newest first.</summary>
    /// <returns>Null when the Erp has no such customer.</returns>
    public async Task<List<OrderSummary>?> ListAsync(string customerId, int top, CancellationToken ct)
    {
        try
        {
            var headers = await connector.CallAsync(erp => erp.ListOrdersAsync(CustomerNo(customerId), top), ct);
            return [.. new SourceRecord(Name, "a list of orders").Entries(headers ?? [], "orders").Select(Map)];
        }
        catch (FaultException<InvalidOrder> fault) when (fault.Detail.Code is "UNKNOWN_CUSTOMER")
        {
            return null;
        }
        catch (FaultException fault)
        {
            throw Refused(fault);
        }
    }

    public async Task<Order?> GetAsync(string id, CancellationToken ct)
    {
        try
        {
            return await connector.CallAsync(erp => erp.GetOrderAsync(id), ct) is { } order ? Map(order) : null;
        }
        catch (FaultException<OrderNotFound>)
        {
            return null;
        }
        catch (FaultException fault)
        {
            throw Refused(fault);
        }
    }

    /// <summary>Places an order once for a reference, however often it is called.</summary>
    /// <returns>The order and what has become of it by now, or why the Erp does not take it.</returns>
    public async Task<(PlacedOrder? Order, OrderStatus Status, InvalidOrder? Refused)> PlaceAsync(
        string reference, NewOrder order, IReadOnlyDictionary<string, Money> prices, CancellationToken ct)
    {
        var sent = new ErpNewOrder
        {
            ExternalReference = reference,
            CustomerNo = CustomerNo(order.CustomerId),
            Currency = prices.Values.First().Currency,
            Plant = order.StoreId,
            ShipTo = new()
            {
                Name = order.ShipTo.Name,
                Street = order.ShipTo.Street,
                PostalCode = order.ShipTo.Postcode,
                City = order.ShipTo.City,
                CountryCode = order.ShipTo.Country,
            },
            Lines = [.. order.Lines.Select(line => new ErpNewLine
            {
                ArticleNo = line.ProductId,
                Quantity = line.Quantity,
                UnitPrice = prices[line.ProductId].ToDecimal(),
            })],
        };
        try
        {
            var placed = await connector.CallAsync(erp => erp.PlaceOrderAsync(sent), ct);
            var record = new SourceRecord(Name, $"the order of the reference {reference}");
            return (new(record.Required(placed?.OrderNo), placed!.Revision), Status(record, placed.Status), null);
        }
        catch (FaultException<InvalidOrder> fault) when (fault.Detail.Code is not "REFERENCE_REUSED")
        {
            return (null, default, fault.Detail);
        }
        catch (FaultException fault)
        {
            throw Refused(fault);
        }
    }

    /// <returns>The number of the order that was placed under the reference; null when there is none.</returns>
    public async Task<string?> FindAsync(string reference, string customerId, CancellationToken ct)
    {
        try
        {
            var headers = await connector.CallAsync(erp => erp.ListOrdersAsync(CustomerNo(customerId), MostListed), ct);
            return headers?.FirstOrDefault(header => header.ExternalReference == reference)?.OrderNo;
        }
        catch (FaultException<InvalidOrder> fault) when (fault.Detail.Code is "UNKNOWN_CUSTOMER")
        {
            return null;
        }
        catch (FaultException fault)
        {
            throw Refused(fault);
        }
    }

    /// <returns>The reference under which the order was placed; null when it has none.</returns>
    public async Task<string?> ReferenceAsync(string id, CancellationToken ct)
    {
        try
        {
            return (await connector.CallAsync(erp => erp.GetOrderAsync(id), ct))?.ExternalReference;
        }
        catch (FaultException<OrderNotFound>)
        {
            return null;
        }
        catch (FaultException fault)
        {
            throw Refused(fault);
        }
    }

    /// <summary>Cancels an order; one that is cancelled stays so.</summary>
    public async Task<Cancelled> CancelAsync(string id, string reason, CancellationToken ct)
    {
        try
        {
            var cancelled = await connector.CallAsync(erp => erp.CancelOrderAsync(id, reason), ct);
            return new(IsKnown: true, null, cancelled?.Revision);
        }
        catch (FaultException<OrderNotFound>)
        {
            return new(IsKnown: false, null);
        }
        catch (FaultException<OrderNotCancellable> fault)
        {
            return new(IsKnown: true, fault.Detail.Status ?? "");
        }
        catch (FaultException fault)
        {
            throw Refused(fault);
        }
    }

    /// <param name="TooLate">The status in which the order can be cancelled no more; null when it is cancelled.</param>
    /// <param name="Revision">The order's, once it is cancelled.</param>
    internal readonly record struct Cancelled(bool IsKnown, string? TooLate, int? Revision = null);

    private const int MostListed = 500;

    /// <summary>A fault that blames the Erp itself may pass; one that blames the message comes again.</summary>
    private static BackendException Refused(FaultException fault) => fault.Code.Name is "Server"
        ? new(Name, StatusCodes.Status502BadGateway, $"answered the fault '{fault.Message}'", TimeSpan.FromSeconds(1), fault)
        : BackendException.Misunderstood(Name, $"answered the fault '{fault.Message}'", fault);

    /// <summary>The Erp numbers customers without the prefix and the leading zeros.</summary>
    private static string CustomerNo(string customerId) =>
        int.Parse(customerId.AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture);

    private static OrderSummary Map(OrderHeader source)
    {
        var record = new SourceRecord(Name, $"order {source.OrderNo}");
        var currency = record.Required(source.Currency);
        return new(
            record.Required(source.OrderNo),
            CustomerId(record, source.CustomerNo),
            Status(record, source.Status),
            record.Money(record.Required(source.GrossAmount), currency, "GrossAmount"),
            record.Money(record.Required(source.TaxAmount), currency, "TaxAmount"),
            Utc(record.Required(source.OrderDate)),
            Utc(record.Required(source.ChangedAt)),
            record.Required(source.LineCount));
    }

    private static Order Map(ErpOrder source)
    {
        var record = new SourceRecord(Name, $"order {source.OrderNo}");
        var currency = record.Required(source.Currency);
        var shipTo = record.Required(source.ShipTo);
        return new(
            record.Required(source.OrderNo),
            CustomerId(record, source.CustomerNo),
            Status(record, source.Status),
            record.Money(record.Required(source.GrossAmount), currency, "GrossAmount"),
            record.Money(record.Required(source.TaxAmount), currency, "TaxAmount"),
            Utc(record.Required(source.OrderDate)),
            Utc(record.Required(source.ChangedAt)),
            source.Plant,
            new(
                record.Required(shipTo.Name),
                record.Required(shipTo.Street),
                record.Required(shipTo.PostalCode),
                record.Required(shipTo.City),
                record.Required(shipTo.CountryCode)),
            source.Carrier,
            source.TrackingNo,
            source.CancelReason,
            [.. record.Entries(source.Lines).Select(line => new OrderLine(
                record.Required(line.Position),
                record.Required(line.ArticleNo),
                record.Required(line.Description),
                record.Whole(line.Quantity),
                record.Money(record.Required(line.UnitPrice), currency, "Lines.UnitPrice"),
                record.Money(record.Required(line.LineAmount), currency, "Lines.LineAmount")))],
            source.Revision,
            source.ExternalReference);
    }

    private static string CustomerId(SourceRecord record, string? customerNo) =>
        int.TryParse(record.Required(customerNo), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? string.Create(CultureInfo.InvariantCulture, $"C-{number:000000}")
            : throw record.Wrong("CustomerNo", $"is '{customerNo}'");

    private static OrderStatus Status(SourceRecord record, string? status) =>
        record.OneOf<OrderStatus>(status, "Status");

    private static DateTimeOffset Utc(DateTime time) => new(DateTime.SpecifyKind(
        time.Kind is DateTimeKind.Local ? time.ToUniversalTime() : time, DateTimeKind.Utc));
}
