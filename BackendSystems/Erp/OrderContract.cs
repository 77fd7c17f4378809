using System.Runtime.Serialization;
using System.Xml.Serialization;

namespace BackendSystems.Erp;

// The types of the WSDL. They are public and settable because the XML serializer asks for it; null members are left out of the XML.

/// <summary>The namespace of every element and of the service.</summary>
public static class ErpNamespace
{
    public const string Uri = "http://erp.example.com/orders/v1";
}

[XmlType(Namespace = ErpNamespace.Uri)]
public class OrderHeader
{
    public string OrderNo { get; set; } = "";

    public string CustomerNo { get; set; } = "";

    public string? ExternalReference { get; set; }

    public string Status { get; set; } = "";

    public string Currency { get; set; } = "";

    public decimal NetAmount { get; set; }

    public decimal TaxAmount { get; set; }

    public decimal GrossAmount { get; set; }

    public DateTime OrderDate { get; set; }

    public DateTime ChangedAt { get; set; }

    public int Revision { get; set; }

    public int LineCount { get; set; }
}

[XmlType(Namespace = ErpNamespace.Uri)]
public class Order
{
    public string OrderNo { get; set; } = "";

    public string CustomerNo { get; set; } = "";

    public string? ExternalReference { get; set; }

    public string Status { get; set; } = "";

    public string Currency { get; set; } = "";

    public decimal NetAmount { get; set; }

    public decimal TaxAmount { get; set; }

    public decimal GrossAmount { get; set; }

    public DateTime OrderDate { get; set; }

    public DateTime ChangedAt { get; set; }

    public int Revision { get; set; }

    public string? Plant { get; set; }

    public ShipTo ShipTo { get; set; } = new();

    public string? Carrier { get; set; }

    public string? TrackingNo { get; set; }

    public string? CancelReason { get; set; }

    [XmlArrayItem("Line")]
    public OrderLine[] Lines { get; set; } = [];
}

[XmlType(Namespace = ErpNamespace.Uri)]
public class ShipTo
{
    public string? Name { get; set; }

    public string? Street { get; set; }

    public string? PostalCode { get; set; }

    public string? City { get; set; }

    public string? CountryCode { get; set; }
}

[XmlType(Namespace = ErpNamespace.Uri)]
public class OrderLine
{
    public int Position { get; set; }

    public string ArticleNo { get; set; } = "";

    public string Description { get; set; } = "";

    public int Quantity { get; set; }

    public string Unit { get; set; } = "PCE";

    public decimal UnitPrice { get; set; }

    public decimal LineAmount { get; set; }
}

[XmlType(Namespace = ErpNamespace.Uri)]
public class NewOrder
{
    public string? ExternalReference { get; set; }

    public string? CustomerNo { get; set; }

    public string? Currency { get; set; }

    public string? Plant { get; set; }

    public ShipTo? ShipTo { get; set; }

    [XmlArrayItem("Line")]
    public NewOrderLine[]? Lines { get; set; }
}

[XmlType(Namespace = ErpNamespace.Uri)]
public class NewOrderLine
{
    public string? ArticleNo { get; set; }

    public int Quantity { get; set; }

    public decimal UnitPrice { get; set; }
}

// Details of faults; the library writes those with the data contract serializer.

[DataContract(Namespace = ErpNamespace.Uri)]
public class OrderNotFound
{
    [DataMember(Order = 1)]
    public string OrderNo { get; set; } = "";
}

[DataContract(Namespace = ErpNamespace.Uri)]
public class OrderNotCancellable
{
    [DataMember(Order = 1)]
    public string OrderNo { get; set; } = "";

    [DataMember(Order = 2)]
    public string Status { get; set; } = "";
}

[DataContract(Namespace = ErpNamespace.Uri)]
public class InvalidOrder
{
    [DataMember(Order = 1)]
    public string Code { get; set; } = "";

    [DataMember(Order = 2)]
    public string Field { get; set; } = "";

    [DataMember(Order = 3)]
    public string Message { get; set; } = "";
}
