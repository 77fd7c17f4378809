using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.ServiceModel;
using System.Text;
using System.Text.Json;
using BackendSystems.Erp;

namespace MobileIntegration.Tests.BackendSystems;

[Collection(BackOfficeTests.Name)]
public sealed class ErpTests(BackOffice office)
{
    private const string Namespace = "http://erp.example.com/orders/v1";

    [ServiceContract(Namespace = Namespace, Name = "OrderService"), XmlSerializerFormat]
    private interface IOrders
    {
        [OperationContract, FaultContract(typeof(InvalidOrder))]
        Task<OrderHeader[]> ListOrders(string customerNo, DateTime? from, int maxRows);

        [OperationContract, FaultContract(typeof(OrderNotFound))]
        Task<Order> GetOrder(string orderNo);

        [OperationContract, FaultContract(typeof(InvalidOrder))]
        Task<Order> PlaceOrder(NewOrder order);

        [OperationContract, FaultContract(typeof(OrderNotFound)), FaultContract(typeof(OrderNotCancellable))]
        Task<Order> CancelOrder(string orderNo, string? reason);
    }

    [Fact]
    public async Task A_dotnet_client_lists_newest_first_and_reads_whole_orders()
    {
        var orders = Connect();
        var all = await orders.ListOrders("123", null, 500);
        Assert.True(all.Length >= 2);
        Assert.Equal(all.OrderByDescending(order => order.OrderDate).Select(order => order.OrderNo), all.Select(order => order.OrderNo));
        var recent = await orders.ListOrders("123", all[0].OrderDate, 500);
        Assert.All(recent, order => Assert.True(order.OrderDate >= all[0].OrderDate));
        Assert.Single(await orders.ListOrders("123", null, 1));

        var order = await orders.GetOrder(all[0].OrderNo);
        Assert.Equal(all[0].LineCount, order.Lines.Length);
        Assert.Equal(order.GrossAmount, order.Lines.Sum(line => line.LineAmount));
        Assert.Equal(order.GrossAmount, order.NetAmount + order.TaxAmount);
        Assert.Equal(DateTimeKind.Utc, order.OrderDate.Kind);
        Assert.NotNull(order.ShipTo.City);
    }

    [Fact]
    public async Task A_reference_places_one_order_however_often_it_is_sent()
    {
        var orders = Connect();
        var placed = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => orders.PlaceOrder(Order("once"))));
        Assert.Single(placed.Select(order => order.OrderNo).Distinct());
        Assert.Equal(39.80m, placed[0].GrossAmount);
        Assert.Equal([10], placed[0].Lines.Select(line => line.Position));
        Assert.Equal(1, await BackOffice.ScalarAsync<long>(office.BackendDb, "select count(*) from erp.orders where external_reference = 'once'"));

        var other = Order("once");
        other.Lines![0].Quantity = 3;
        var fault = await Assert.ThrowsAsync<FaultException<InvalidOrder>>(() => orders.PlaceOrder(other));
        Assert.Equal("REFERENCE_REUSED", fault.Detail.Code);
    }

    [Fact]
    public async Task Only_orders_that_have_not_left_can_be_cancelled()
    {
        var orders = Connect();
        var placed = await orders.PlaceOrder(Order("to cancel"));
        var cancelled = await orders.CancelOrder(placed.OrderNo, "wrong size");
        Assert.Equal(("CANCELLED", "wrong size", 2), (cancelled.Status, cancelled.CancelReason, cancelled.Revision));
        Assert.Equal(2, (await orders.CancelOrder(placed.OrderNo, null)).Revision);

        var delivered = await BackOffice.ScalarAsync<long>(office.BackendDb, "select min(order_no) from erp.orders where status = 'DELIVERED'");
        var fault = await Assert.ThrowsAsync<FaultException<OrderNotCancellable>>(() => orders.CancelOrder($"{delivered}", null));
        Assert.Equal("DELIVERED", fault.Detail.Status);
        Assert.Equal("Client", fault.Code.Name);
        var missing = await Assert.ThrowsAsync<FaultException<OrderNotFound>>(() => orders.GetOrder("4599999999"));
        Assert.Equal("4599999999", missing.Detail.OrderNo);
    }

    [Theory]
    [InlineData("UNKNOWN_CUSTOMER")]
    [InlineData("UNKNOWN_ARTICLE")]
    [InlineData("UNKNOWN_PLANT")]
    [InlineData("BAD_CURRENCY")]
    [InlineData("OUT_OF_RANGE")]
    [InlineData("REQUIRED")]
    [InlineData("TOO_MANY_LINES")]
    public async Task A_wrong_order_is_refused_with_a_code_and_leaves_nothing(string code)
    {
        var order = Order($"wrong {code}");
        switch (code)
        {
            case "UNKNOWN_CUSTOMER":
                order.CustomerNo = "99999";
                break;
            case "UNKNOWN_ARTICLE":
                order.Lines![0].ArticleNo = "'; drop table x;--";
                break;
            case "UNKNOWN_PLANT":
                order.Plant = "W99";
                break;
            case "BAD_CURRENCY":
                order.Currency = "USD";
                break;
            case "OUT_OF_RANGE":
                order.Lines![0].UnitPrice = 1.999m;
                break;
            case "REQUIRED":
                order.ShipTo = null;
                break;
            default:
                order.Lines = [.. Enumerable.Repeat(order.Lines![0], 101)];
                break;
        }

        var fault = await Assert.ThrowsAsync<FaultException<InvalidOrder>>(() => Connect().PlaceOrder(order));
        Assert.Equal(code, fault.Detail.Code);
        Assert.NotEqual("", fault.Detail.Field);
        Assert.Equal(0, await BackOffice.ScalarAsync<long>(
            office.BackendDb, $"select count(*) from erp.orders where external_reference = 'wrong {code}'"));
    }

    [Fact]
    public async Task The_npm_package_soap_reads_the_wsdl_and_places_an_order()
    {
        var clients = NpmClients.Folder();
        var start = new ProcessStartInfo("node", [Path.Combine(clients, "soap-client.mjs"), $"{office.Http.BaseAddress}erp/orders.svc?wsdl", "from npm"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var node = Process.Start(start)!;
        var error = node.StandardError.ReadToEndAsync();
        var output = await node.StandardOutput.ReadToEndAsync();
        await node.WaitForExitAsync();
        Assert.True(node.ExitCode == 0, await error);

        var told = JsonSerializer.Deserialize<JsonElement>(output);
        Assert.Equal(["CancelOrder", "GetOrder", "ListOrders", "PlaceOrder"], told.GetProperty("operations").EnumerateArray().Select(name => name.GetString()));
        var placed = told.GetProperty("placed");
        Assert.Equal("OPEN", placed.GetProperty("Status").GetString());
        Assert.Equal("Ada Müller", placed.GetProperty("ShipTo").GetProperty("Name").GetString());
        Assert.Equal(placed.GetProperty("OrderNo").GetString(), told.GetProperty("again").GetString());
        Assert.Equal(placed.GetProperty("OrderNo").GetString(), told.GetProperty("listed")[0].GetString());
        Assert.Equal("CANCELLED", told.GetProperty("cancelled").GetString());
        Assert.Equal("4599999999", told.GetProperty("fault").GetProperty("detail").GetProperty("OrderNotFound").GetProperty("OrderNo").GetString());
    }

    [Theory]
    [InlineData("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>", "<customerNo>&e;</customerNo>", "DTD")]
    [InlineData("<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]>", "<customerNo>&b;</customerNo>", "DTD")]
    [InlineData("", "<customerNo>1</customerNo><maxRows>many</maxRows>", "cannot be read")]
    [InlineData("", "<customerNo>' or 1=1</customerNo><maxRows>5</maxRows>", "digits only")]
    [InlineData("", "<customerNo>1</customerNo><maxRows>100000</maxRows>", "maxRows")]
    [InlineData("", "<customerNo>1</customerNo>", "maxRows")]
    [InlineData("", "<customerNo>1", "well-formed")]
    [InlineData("", "<customerNo>&#xD800;</customerNo>", "well-formed")]
    public async Task Anything_wrong_is_a_client_fault(string prolog, string parameters, string says)
    {
        using var response = await SendAsync($"""
            {prolog}<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
            <ListOrders xmlns="{Namespace}">{parameters}</ListOrders></s:Body></s:Envelope>
            """);
        var body = await response.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Equal("text/xml", response.Content.Headers.ContentType?.MediaType);
        Assert.Contains(":Client</faultcode>", body, StringComparison.Ordinal);
        Assert.Contains(says, body, StringComparison.Ordinal);
        Assert.DoesNotContain("root:", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_is_limited_and_must_be_xml()
    {
        using var large = await SendAsync(new string(' ', 300_000));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, large.StatusCode);
        Assert.Contains("256 KiB", await large.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        using var json = await office.Http.PostAsync("/erp/orders.svc", new StringContent("{}", Encoding.UTF8, "application/json"));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, json.StatusCode);
        using var newer = await SendAsync("""<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body/></s:Envelope>""");
        Assert.Contains("VersionMismatch", await newer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Orders_advance_one_step_and_get_a_tracking_number()
    {
        var changed = await office.SimulateAsync("/erp/simulate/advance", 1_000, 5);
        Assert.NotEmpty(changed);
        var orders = Connect();
        var order = await orders.GetOrder(changed[0]);
        Assert.Contains(order.Status, new[] { "PICKED", "SHIPPED", "DELIVERED" });
        Assert.Equal(0, await BackOffice.ScalarAsync<long>(
            office.BackendDb, "select count(*) from erp.orders where status in ('SHIPPED', 'DELIVERED') and tracking_no is null"));
    }

    private static NewOrder Order(string reference) => new()
    {
        ExternalReference = reference,
        CustomerNo = "123",
        Currency = "EUR",
        Plant = "W01",
        ShipTo = new() { Name = "Ada Müller", Street = "Ring 1", PostalCode = "10115", City = "Berlin", CountryCode = "DE" },
        Lines = [new() { ArticleNo = "100042", Quantity = 2, UnitPrice = 19.90m }],
    };

    private IOrders Connect() =>
        new ChannelFactory<IOrders>(new BasicHttpBinding { MaxReceivedMessageSize = 1_000_000 }, new($"{office.Http.BaseAddress}erp/orders.svc")).CreateChannel();

    private async Task<HttpResponseMessage> SendAsync(string message)
    {
        using var content = new StringContent(message, Encoding.UTF8, new MediaTypeHeaderValue("text/xml"));
        content.Headers.Add("SOAPAction", $"\"{Namespace}/OrderService/ListOrders\"");
        return await office.Http.PostAsync("/erp/orders.svc", content);
    }
}
