using System.ServiceModel;
using System.Xml.Serialization;

namespace IntegrationServices.Orders;

/// <summary>The part of the Erp's order service that is used here. Everything is optional on the wire's word; what must be there is checked when mapped.</summary>
[ServiceContract(Name = "OrderService", Namespace = Namespace)]
[XmlSerializerFormat(SupportFaults = true)]
public interface IErpOrderService
{
    const string Namespace = "http://erp.example.com/orders/v1";

    [OperationContract(Action = Namespace + "/OrderService/ListOrders", ReplyAction = "*")]
    [FaultContract(typeof(InvalidOrder))]
    Task<OrderHeader[]?> ListOrdersAsync(string customerNo, int maxRows);

    [OperationContract(Action = Namespace + "/OrderService/GetOrder", ReplyAction = "*")]
    [FaultContract(typeof(OrderNotFound))]
    [FaultContract(typeof(InvalidOrder))]
    Task<ErpOrder?> GetOrderAsync(string orderNo);

    [OperationContract(Action = Namespace + "/OrderService/PlaceOrder", ReplyAction = "*")]
    [FaultContract(typeof(InvalidOrder))]
    Task<ErpOrder?> PlaceOrderAsync(ErpNewOrder order);

    [OperationContract(Action = Namespace + "/OrderService/CancelOrder", ReplyAction = "*")]
    [FaultContract(typeof(OrderNotFound))]
    [FaultContract(typeof(OrderNotCancellable))]
    [FaultContract(typeof(InvalidOrder))]
    Task<ErpOrder?> CancelOrderAsync(string orderNo, string reason);
}

[XmlType("OrderHeader", Namespace = IErpOrderService.Namespace)]
public class OrderHeader
{
    public string? OrderNo { get; set; }

    public string? CustomerNo { get; set; }

    public string? ExternalReference { get; set; }

    public string? Status { get; set; }

    public string? Currency { get; set; }

    public decimal? TaxAmount { get; set; }

    public decimal? GrossAmount { get; set; }

    public DateTime? OrderDate { get; set; }

    public DateTime? ChangedAt { get; set; }

    public int? Revision { get; set; }

    public int? LineCount { get; set; }
}

[XmlType("Order", Namespace = IErpOrderService.Namespace)]
public sealed class ErpOrder : OrderHeader
{
    public string? Plant { get; set; }

    public ErpAddress? ShipTo { get; set; }

    public string? Carrier { get; set; }

    public string? TrackingNo { get; set; }

    public string? CancelReason { get; set; }

    public ErpLine[]? Lines { get; set; }
}

[XmlType("Address", Namespace = IErpOrderService.Namespace)]
public sealed class ErpAddress
{
    public string? Name { get; set; }

    public string? Street { get; set; }

    public string? PostalCode { get; set; }

    public string? City { get; set; }

    public string? CountryCode { get; set; }
}

[XmlType("Line", Namespace = IErpOrderService.Namespace)]
public sealed class ErpLine
{
    public int? Position { get; set; }

    public string? ArticleNo { get; set; }

    public string? Description { get; set; }

    public decimal? Quantity { get; set; }

    public decimal? UnitPrice { get; set; }

    public decimal? LineAmount { get; set; }
}

[XmlRoot("OrderNotFound", Namespace = IErpOrderService.Namespace)]
public sealed class OrderNotFound
{
    public string? OrderNo { get; set; }
}

[XmlRoot("InvalidOrder", Namespace = IErpOrderService.Namespace)]
public sealed class InvalidOrder
{
    public string? Code { get; set; }

    public string? Field { get; set; }

    public string? Message { get; set; }
}

[XmlRoot("OrderNotCancellable", Namespace = IErpOrderService.Namespace)]
public sealed class OrderNotCancellable
{
    public string? OrderNo { get; set; }

    public string? Status { get; set; }
}

/// <summary>The Erp reads the members in this order.</summary>
[XmlType("NewOrder", Namespace = IErpOrderService.Namespace)]
public sealed class ErpNewOrder
{
    public string? ExternalReference { get; set; }

    public string? CustomerNo { get; set; }

    public string? Currency { get; set; }

    public string? Plant { get; set; }

    public ErpAddress? ShipTo { get; set; }

    [XmlArrayItem("Line")]
    public ErpNewLine[]? Lines { get; set; }
}

[XmlType("NewOrderLine", Namespace = IErpOrderService.Namespace)]
public sealed class ErpNewLine
{
    public string? ArticleNo { get; set; }

    public int Quantity { get; set; }

    public decimal UnitPrice { get; set; }
}
