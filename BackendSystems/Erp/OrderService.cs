using System.Globalization;
using System.Security.Cryptography;
using System.ServiceModel;
using System.Text.Json;

namespace BackendSystems.Erp;

/// <summary>The SOAP operations. A refusal is a typed fault with code Client.</summary>
[ServiceContract(Name = "OrderService", Namespace = ErpNamespace.Uri)]
public sealed class OrderService
{
    private readonly ErpStore _store;
    private readonly IHttpContextAccessor _http;

    internal OrderService(ErpStore store, IHttpContextAccessor http)
    {
        _store = store;
        _http = http;
    }

    private CancellationToken Ct => _http.HttpContext?.RequestAborted ?? CancellationToken.None;

    /// <summary>The customer's orders, newest first; <paramref name="from"/> leaves out those before it.</summary>
    [OperationContract(Action = ErpNamespace.Uri + "/OrderService/ListOrders")]
    [FaultContract(typeof(InvalidOrder))]
    public async Task<OrderHeader[]> ListOrders(string? customerNo, DateTime? from, int maxRows)
    {
        var number = CustomerNumber(customerNo, "customerNo");
        if (maxRows is < 1 or > 500)
        {
            throw Invalid("OUT_OF_RANGE", "maxRows", "maxRows must be from 1 to 500.");
        }

        return await _store.ListAsync(number, from is { } since ? Utc(since) : null, maxRows, Ct);
    }

    [OperationContract(Action = ErpNamespace.Uri + "/OrderService/GetOrder")]
    [FaultContract(typeof(OrderNotFound))]
    public async Task<Order> GetOrder(string? orderNo) => await _store.FindAsync(OrderNumber(orderNo), Ct) ?? throw NotFound(orderNo);

    /// <summary>Idempotent by ExternalReference.</summary>
    [OperationContract(Action = ErpNamespace.Uri + "/OrderService/PlaceOrder")]
    [FaultContract(typeof(InvalidOrder))]
    public async Task<Order> PlaceOrder(NewOrder? order)
    {
        if (order is null)
        {
            throw Invalid("REQUIRED", "order", "order is required.");
        }

        if (OrderRules.Check(order) is { } wrong)
        {
            throw Fault(wrong, wrong.Message);
        }

        var customerNo = CustomerNumber(order.CustomerNo, "CustomerNo");
        var hash = SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(order));
        var (placed, refused) = await _store.PlaceAsync(order, customerNo, hash, Ct);
        return placed ?? throw Fault(refused!, refused!.Message);
    }

    /// <summary>Cancelling twice is cancelling once.</summary>
    [OperationContract(Action = ErpNamespace.Uri + "/OrderService/CancelOrder")]
    [FaultContract(typeof(OrderNotFound))]
    [FaultContract(typeof(OrderNotCancellable))]
    [FaultContract(typeof(InvalidOrder))]
    public async Task<Order> CancelOrder(string? orderNo, string? reason)
    {
        if (reason?.Length > 200)
        {
            throw Invalid("OUT_OF_RANGE", "reason", "reason has at most 200 characters.");
        }

        var order = await _store.CancelAsync(OrderNumber(orderNo), reason, Ct) ?? throw NotFound(orderNo);
        return order.Status == "CANCELLED"
            ? order
            : throw Fault(new OrderNotCancellable { OrderNo = order.OrderNo, Status = order.Status },
                $"Order {order.OrderNo} is {order.Status}; only OPEN and PICKED orders can be cancelled.");
    }

    /// <summary>A time without a zone is UTC here, like all times of the Erp.</summary>
    private static DateTime Utc(DateTime time) =>
        time.Kind == DateTimeKind.Unspecified ? DateTime.SpecifyKind(time, DateTimeKind.Utc) : time.ToUniversalTime();

    private static long OrderNumber(string? orderNo) =>
        orderNo is { Length: 10 } && long.TryParse(orderNo, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw NotFound(orderNo);

    private static int CustomerNumber(string? customerNo, string field)
    {
        if (string.IsNullOrEmpty(customerNo))
        {
            throw Invalid("REQUIRED", field, $"{field} is required.");
        }

        return int.TryParse(customerNo, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw Invalid("UNKNOWN_CUSTOMER", field, $"{field} must be a customer number, digits only, such as 123.");
    }

    private static FaultException<OrderNotFound> NotFound(string? orderNo)
    {
        var shown = orderNo is { Length: > 40 } ? orderNo[..40] : orderNo ?? "";
        return Fault(new OrderNotFound { OrderNo = shown }, $"There is no order '{shown}'. Order numbers look like 4500001234.");
    }

    private static FaultException<InvalidOrder> Invalid(string code, string field, string message) =>
        Fault(new InvalidOrder { Code = code, Field = field, Message = message }, message);

    private static FaultException<T> Fault<T>(T detail, string reason) => new(detail, new FaultReason(reason), new FaultCode("Client"), null);
}
