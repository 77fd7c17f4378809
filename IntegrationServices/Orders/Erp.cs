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
            // The Erp numbers customers without the prefix and the leading zeros.
            var customerNo = int.Parse(customerId.AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture);
            var headers = await connector.CallAsync(erp => erp.ListOrdersAsync(customerNo, top), ct);
            return [.. (headers ?? []).Select(Map)];
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

    private static BackendException Refused(FaultException fault) =>
        new(Name, StatusCodes.Status502BadGateway, $"answered the fault '{fault.Message}'", TimeSpan.FromSeconds(1), fault);

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
            [.. record.Required(source.Lines).Select(line => new OrderLine(
                record.Required(line.Position),
                record.Required(line.ArticleNo),
                record.Required(line.Description),
                (int)record.Required(line.Quantity),
                record.Money(record.Required(line.UnitPrice), currency, "Lines.UnitPrice"),
                record.Money(record.Required(line.LineAmount), currency, "Lines.LineAmount")))]);
    }

    private static string CustomerId(SourceRecord record, string? customerNo) =>
        int.TryParse(record.Required(customerNo), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? string.Create(CultureInfo.InvariantCulture, $"C-{number:000000}")
            : throw record.Wrong("CustomerNo", $"is '{customerNo}'");

    private static OrderStatus Status(SourceRecord record, string? status) =>
        Enum.TryParse<OrderStatus>(record.Required(status), ignoreCase: true, out var known) ? known : throw record.Wrong("Status", $"is '{status}'");

    private static DateTimeOffset Utc(DateTime time) => new(DateTime.SpecifyKind(
        time.Kind is DateTimeKind.Local ? time.ToUniversalTime() : time, DateTimeKind.Utc));
}
