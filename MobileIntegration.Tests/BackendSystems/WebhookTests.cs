using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using BackendSystems.Webhooks;

namespace MobileIntegration.Tests.BackendSystems;

[Collection(BackOfficeTests.Name)]
public sealed class WebhookTests(BackOffice office)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData("crm", "moves", "customer.updated", "id")]
    [InlineData("erp", "advance", "order.updated", "orderNo")]
    [InlineData("pim", "prices", "product.price_changed", "sku")]
    [InlineData("wms", "movements", "stock.moved", "mvNo")]
    public async Task A_change_is_told_and_signed(string system, string what, string type, string id)
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var subscription = await SubscribeAsync(system, receiver);
        var changed = await office.SimulateAsync($"/{system}/simulate/{what}", 5, 21);
        await Eventually.TrueAsync(() => receiver.Journal.Count >= 5, Patience);

        Assert.Equal(changed.Order(), receiver.Journal.Select(message => Data(message).GetProperty(id).ToString()).Order());
        Assert.All(receiver.Journal, message =>
        {
            Assert.Equal(type, JsonSerializer.Deserialize<JsonElement>(message.Body).GetProperty("type").GetString());
            Assert.Equal(Sign(subscription.GetProperty("secret").GetString()!, message), message.Signature);
            Assert.StartsWith("msg_", message.Id, StringComparison.Ordinal);
            var age = DateTimeOffset.UtcNow.ToUnixTimeSeconds() - long.Parse(message.Timestamp, CultureInfo.InvariantCulture);
            Assert.InRange(age, -1, 60);
        });
        await UnsubscribeAsync(system, subscription);
    }

    [Fact]
    public async Task Refused_messages_are_sent_again_in_order_per_record()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        receiver.Answer = call => call % 3 == 0 ? 200 : 503;
        var subscription = await SubscribeAsync("pim", receiver);
        string[] skus = [];
        for (var round = 0; round < 4; round++)
        {
            skus = await office.SimulateAsync("/pim/simulate/prices", 2, 33);
        }

        await Eventually.TrueAsync(async () => (await DeliveriesAsync("pim", "pending")).Length == 0, Patience);
        foreach (var sku in skus)
        {
            var revisions = receiver.Journal.Select(Data).Where(data => data.GetProperty("sku").GetString() == sku)
                .Select(data => data.GetProperty("revision").GetInt32()).ToList();
            Assert.Equal(revisions.Order(), revisions);
            Assert.Equal(4, revisions.Distinct().Count());
        }

        var delivered = (await DeliveriesAsync("pim", "delivered"))
            .Where(delivery => delivery.GetProperty("subscriptionId").ToString() == subscription.GetProperty("id").ToString());
        Assert.Equal(8, delivered.Count());
        Assert.Equal(receiver.Journal.Count, delivered.Sum(delivery => delivery.GetProperty("attempts").GetInt32()));
        await UnsubscribeAsync("pim", subscription);
    }

    [Fact]
    public async Task A_receiver_that_went_away_gets_all_when_it_is_back()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var subscription = await SubscribeAsync("crm", receiver);
        await receiver.GoAwayAsync();
        var changed = await office.SimulateAsync("/crm/simulate/moves", 3, 44);
        await Eventually.TrueAsync(
            async () => (await DeliveriesAsync("crm", "pending")).Any(delivery => delivery.GetProperty("lastError").ValueKind == JsonValueKind.String), Patience);

        await receiver.ListenAsync();
        await Eventually.TrueAsync(() => receiver.Journal.Count >= 3, Patience);
        Assert.Equal(changed.Order(), receiver.Journal.Select(message => Data(message).GetProperty("id").GetString()!).Order());
        await UnsubscribeAsync("crm", subscription);
    }

    [Fact]
    public async Task A_replay_sends_the_same_message_again()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var subscription = await SubscribeAsync("erp", receiver, "order.updated");
        await office.SimulateAsync("/erp/simulate/advance", 1, 55);
        await Eventually.TrueAsync(async () => (await DeliveriesAsync("erp", "delivered")).Length > 0, Patience);
        var delivery = (await DeliveriesAsync("erp", "delivered"))[0];

        using var replay = await office.Http.PostAsync($"/erp/webhooks/deliveries/{delivery.GetProperty("id")}/replay", null);
        Assert.Equal(HttpStatusCode.Accepted, replay.StatusCode);
        await Eventually.TrueAsync(() => receiver.Journal.Count == 2, Patience);
        Assert.Single(receiver.Journal.Select(message => (message.Id, message.Body)).Distinct());
        using var unknown = await office.Http.PostAsync("/erp/webhooks/deliveries/999999999/replay", null);
        await BackOffice.ProblemAsync(unknown, 404, "");
        await UnsubscribeAsync("erp", subscription);
    }

    [Fact]
    public async Task Only_wanted_events_of_the_own_system_arrive()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var subscription = await SubscribeAsync("erp", receiver, "order.created");
        await office.SimulateAsync("/erp/simulate/advance", 2, 66);
        await office.SimulateAsync("/pim/simulate/prices", 2, 66);
        Assert.DoesNotContain(await DeliveriesAsync("erp", null),
            delivery => delivery.GetProperty("subscriptionId").ToString() == subscription.GetProperty("id").ToString());
        var listed = (await office.GetAsync("/erp/webhooks")).GetProperty("items").EnumerateArray().Single();
        Assert.False(listed.TryGetProperty("secret", out _));
        await UnsubscribeAsync("erp", subscription);
    }

    [Theory]
    [InlineData("""{}""", "url")]
    [InlineData("""{"url":"ftp://example.com/"}""", "https")]
    [InlineData("""{"url":"http://user:pw@example.com/"}""", "user information")]
    [InlineData("""{"url":"http://example.com/","secret":"short"}""", "whsec_")]
    [InlineData("""{"url":"http://example.com/","events":["order.created"]}""", "customer.updated")]
    [InlineData("""{"url":"http://example.com/","events":[null]}""", "customer.updated")]
    [InlineData("""{"url":"http://example.com/\u0000"}""", "control character")]
    public async Task A_subscription_that_cannot_work_is_refused(string body, string says)
    {
        using var response = await office.Http.PostAsync("/crm/webhooks", new StringContent(body, Encoding.UTF8, "application/json"));
        await BackOffice.ProblemAsync(response, 400, says);
    }

    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("10.1.2.3", false)]
    [InlineData("172.31.0.1", false)]
    [InlineData("192.168.1.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("100.64.0.1", false)]
    [InlineData("::1", false)]
    [InlineData("::ffff:10.0.0.1", false)]
    [InlineData("fd00::1", false)]
    [InlineData("fe80::1", false)]
    [InlineData("93.184.216.34", true)]
    [InlineData("2606:2800:220:1::1", true)]
    public void Addresses_inside_the_network_are_no_targets_in_production(string address, bool isPublic) =>
        Assert.Equal(isPublic, WebhookTarget.IsPublic(IPAddress.Parse(address)));

    private async Task<JsonElement> SubscribeAsync(string system, WebhookReceiver receiver, params string[] events) =>
        await office.PostAsync($"/{system}/webhooks", new { url = receiver.Url, events });

    private async Task UnsubscribeAsync(string system, JsonElement subscription)
    {
        using var response = await office.Http.DeleteAsync($"/{system}/webhooks/{subscription.GetProperty("id")}");
        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
    }

    private async Task<JsonElement[]> DeliveriesAsync(string system, string? status) =>
        [.. (await office.GetAsync($"/{system}/webhooks/deliveries?limit=500{(status is null ? "" : $"&status={status}")}")).GetProperty("items").EnumerateArray()];

    private static JsonElement Data(Received message) => JsonSerializer.Deserialize<JsonElement>(message.Body).GetProperty("data");

    private static string Sign(string secret, Received message) => "v1," + Convert.ToBase64String(HMACSHA256.HashData(
        Convert.FromBase64String(secret["whsec_".Length..]), Encoding.UTF8.GetBytes($"{message.Id}.{message.Timestamp}.{message.Body}")));
}
