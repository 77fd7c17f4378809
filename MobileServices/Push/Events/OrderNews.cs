using Dapper;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults.Events;
using MobileServices.Push.Messages;
using Npgsql;

namespace MobileServices.Push.Events;

/// <summary>"Your order has shipped": what happens to orders is told to their customers, by the app's template or by ours, once for each event.</summary>
internal static class OrderNews
{
    private const string Sender = "events";
    private const int Ttl = 3 * 86400;

    /// <summary>Without a connection string of the publisher, as where push runs alone, no events come.</summary>
    public static void AddOrderNews(this IHostApplicationBuilder builder)
    {
        if (builder.Configuration.GetConnectionString("integrationdb") is { Length: > 0 })
        {
            builder.AddSubscriber("push", from: "integrationdb", inbox: "mobiledb", events => events
                .On<OrderChanged>((services, told, transaction, ct) => TellAsync(services.GetRequiredService<TimeProvider>(), told, transaction, ct)));
        }
    }

    internal static async Task TellAsync(TimeProvider time, Event<OrderChanged> told, NpgsqlTransaction transaction, CancellationToken ct)
    {
        var order = told.Data;
        var name = $"order.{order.Status.ToString().ToLowerInvariant()}";
        if (order.Status == order.PreviousStatus)
        {
            return;
        }
        var apps = (await transaction.Connection!.QueryAsync<string>(new CommandDefinition(
            "select distinct app_id from push.registration where customer_id = @CustomerId", new { order.CustomerId }, transaction, cancellationToken: ct))).ToList();
        var now = time.GetUtcNow();
        foreach (var app in apps)
        {
            if ((await TemplateStore.FindAsync(transaction.Connection!, transaction, app, name, ct) ?? Own(order.Status)) is not { } content)
            {
                continue;
            }
            await MessageStore.AddAsync(transaction, new(
                Guid.CreateVersion7(now), app, Sender, $"{told.Id} {app}", null, $"customer == \"{order.CustomerId}\"",
                content with
                {
                    Parameters = new Dictionary<string, string> { ["orderId"] = order.OrderId, ["status"] = order.Status.ToString() },
                    Data = new Dictionary<string, string>(content.Data ?? new Dictionary<string, string>()) { ["orderId"] = order.OrderId, ["event"] = name },
                },
                "orders", $"order {order.OrderId}", "normal", false, Ttl, now, null, now.AddSeconds(Ttl), null, null), now, ct);
        }
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
