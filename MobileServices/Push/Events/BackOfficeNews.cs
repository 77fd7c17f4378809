using System.Globalization;
using Dapper;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;
using MobileServices.Push.Messages;
using Npgsql;

namespace MobileServices.Push.Events;

/// <summary>What the back office tells of goes to those whom it concerns, by the app's template or by our own text, once for each event.</summary>
internal static class BackOfficeNews
{
    private const string Sender = "events";
    private const int Ttl = 3 * 86400;

    /// <summary>Without a connection string of the publisher, as where push runs alone, no events come.</summary>
    public static void AddBackOfficeNews(this IHostApplicationBuilder builder)
    {
        if (builder.Configuration.GetConnectionString("integrationdb") is { Length: > 0 })
        {
            builder.AddSubscriber("push", from: "integrationdb", inbox: "mobiledb", events => events
                .On<OrderChanged>((services, told, transaction, ct) => TellAsync(services.GetRequiredService<TimeProvider>(), told, transaction, ct))
                .On<PriceChanged>((services, told, transaction, ct) => TellAsync(services.GetRequiredService<TimeProvider>(), told, transaction, ct))
                .On<CustomerChanged>((services, told, transaction, ct) => TellAsync(services.GetRequiredService<TimeProvider>(), told, transaction, ct)));
        }
    }

    /// <summary>"Your order has shipped."</summary>
    private static async Task TellAsync(TimeProvider time, Event<OrderChanged> told, NpgsqlTransaction transaction, CancellationToken ct)
    {
        var order = told.Data;
        if (order.Status == order.PreviousStatus)
        {
            return;
        }
        var name = $"order.{order.Status.ToString().ToLowerInvariant()}";
        foreach (var app in await AppsOfAsync(transaction, order.CustomerId, ct))
        {
            if ((await TemplateStore.FindAsync(transaction.Connection!, transaction, app, name, ct) ?? Own(order.Status)) is { } content)
            {
                var filled = Fill(content, name, ("orderId", order.OrderId), ("status", order.Status.ToString()));
                await SendAsync(time, transaction, told.Id, app, CustomerIs(order.CustomerId), filled, "orders", $"order {order.OrderId}", isSilent: false, ct);
            }
        }
    }

    /// <summary>Who follows a product has its tag; what an app says of a new price only its template knows.</summary>
    private static async Task TellAsync(TimeProvider time, Event<PriceChanged> told, NpgsqlTransaction transaction, CancellationToken ct)
    {
        const string Name = "price.changed";
        var product = told.Data.ProductId;
        var price = told.Data.Price;
        var templates = await transaction.Connection!.QueryAsync<string>(new CommandDefinition(
            "select app_id from push.template where name = @Name", new { Name }, transaction, cancellationToken: ct));
        foreach (var app in templates.ToList())
        {
            var content = (await TemplateStore.FindAsync(transaction.Connection!, transaction, app, Name, ct))!;
            var filled = Fill(content, Name, ("productId", product), ("price", price.ToDecimal().ToString(CultureInfo.InvariantCulture)), ("currency", price.Currency));
            await SendAsync(time, transaction, told.Id, app, $"tag == {Quoted($"price:{product}")}", filled, "prices", $"price {product}", isSilent: false, ct);
        }
    }

    /// <summary>Apps of the customer look again; what has changed they ask for with their own rights.</summary>
    private static async Task TellAsync(TimeProvider time, Event<CustomerChanged> told, NpgsqlTransaction transaction, CancellationToken ct)
    {
        foreach (var app in await AppsOfAsync(transaction, told.Data.CustomerId, ct))
        {
            var content = Fill(new(), "customer.changed", ("changed", string.Join(',', told.Data.Changed)));
            await SendAsync(time, transaction, told.Id, app, CustomerIs(told.Data.CustomerId), content, null, "customer", isSilent: true, ct);
        }
    }

    private static async Task<List<string>> AppsOfAsync(NpgsqlTransaction transaction, string customer, CancellationToken ct) =>
        [.. await transaction.Connection!.QueryAsync<string>(new CommandDefinition(
            "select distinct app_id from push.registration where customer_id = @customer", new { customer }, transaction, cancellationToken: ct))];

    private static string CustomerIs(string customer) => $"customer == {Quoted(customer)}";

    private static string Quoted(string value) => $"\"{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";

    /// <summary>For the text and for the app.</summary>
    private static PushContent Fill(PushContent content, string name, params (string Key, string Value)[] parameters)
    {
        var data = new Dictionary<string, string>(content.Data ?? new Dictionary<string, string>()) { ["event"] = name };
        foreach (var (key, value) in parameters)
        {
            data[key] = value;
        }
        return content with { Parameters = parameters.ToDictionary(one => one.Key, one => one.Value), Data = data };
    }

    private static Task<bool> SendAsync(
        TimeProvider time, NpgsqlTransaction transaction, Guid told, string app, string audience, PushContent content, string? category, string collapseKey, bool isSilent, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        return MessageStore.AddAsync(transaction, new(
            Guid.CreateVersion7(now), app, Sender, $"{told} {app}", null, audience, content, category, collapseKey, "normal", isSilent, Ttl, now, null, now.AddSeconds(Ttl), null, null), now, ct);
    }

    private static PushContent? Own(OrderStatus status) => status switch
    {
        OrderStatus.Shipped => Text("Your order has shipped", "Order {{orderId}} is on its way.", "Ihre Bestellung wurde versandt", "Die Bestellung {{orderId}} ist unterwegs."),
        OrderStatus.Delivered => Text("Your order has arrived", "Order {{orderId}} was delivered.", "Ihre Bestellung ist angekommen", "Die Bestellung {{orderId}} wurde zugestellt."),
        OrderStatus.Cancelled => Text("Your order was cancelled", "Order {{orderId}} will not be sent.", "Ihre Bestellung wurde storniert", "Die Bestellung {{orderId}} wird nicht versandt."),
        _ => null,
    };

    private static PushContent Text(string title, string body, string germanTitle, string germanBody) =>
        new(title, body, Localized: new Dictionary<string, PushText> { ["de"] = new(germanTitle, germanBody) });
}
