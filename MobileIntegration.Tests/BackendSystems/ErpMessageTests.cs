using System.Globalization;
using System.Text;

namespace MobileIntegration.Tests.BackendSystems;

/// <summary>SOAP messages byte by byte, as no client library would send them.</summary>
[Collection(BackOfficeTests.Name)]
public sealed class ErpMessageTests(BackOffice office)
{
    private const string Namespace = "http://erp.example.com/orders/v1";

    [Theory]
    [InlineData("ListOrders", "text/xml; charset=utf-8", 200)]
    [InlineData("", "text/xml; charset=\"UTF-8\"", 200)]
    [InlineData("PlaceOrder", "text/xml", 500)]
    [InlineData("ListOrders", "text/xml; charset=utf-16", 415)]
    [InlineData("ListOrders", "text/xml; ;;=", 415)]
    public async Task A_message_is_what_its_headers_say(string operation, string contentType, int status)
    {
        using var response = await SendAsync(
            operation, contentType, $"""<ListOrders xmlns="{Namespace}"><customerNo>1</customerNo><maxRows>1</maxRows></ListOrders>""");
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("utf-8", response.Content.Headers.ContentType?.CharSet?.Trim('"').ToLowerInvariant());
        var body = await response.Content.ReadAsStringAsync();
        Assert.Equal(status is not 200, body.Contains(":Client</faultcode>", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_order_of_more_money_than_the_books_hold_is_refused()
    {
        var line = "<Line><ArticleNo>100042</ArticleNo><Quantity>9999</Quantity><UnitPrice>1000000</UnitPrice></Line>";
        using var response = await SendAsync("PlaceOrder", "text/xml", string.Create(CultureInfo.InvariantCulture, $"""
            <PlaceOrder xmlns="{Namespace}"><order>
              <ExternalReference>too dear</ExternalReference><CustomerNo>123</CustomerNo><Currency>EUR</Currency>
              <ShipTo><Name>A</Name><Street>R 1</Street><PostalCode>10115</PostalCode><City>Berlin</City><CountryCode>DE</CountryCode></ShipTo>
              <Lines>{line}{line}</Lines>
            </order></PlaceOrder>
            """));
        var body = await response.Content.ReadAsStringAsync();
        Assert.Contains("OUT_OF_RANGE", body, StringComparison.Ordinal);
        Assert.Contains("9999999999.99", body, StringComparison.Ordinal);
    }

    private async Task<HttpResponseMessage> SendAsync(string operation, string contentType, string body)
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(
            $"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{body}</s:Body></s:Envelope>"""));
        content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        content.Headers.Add("SOAPAction", operation.Length is 0 ? "\"\"" : $"\"{Namespace}/OrderService/{operation}\"");
        return await office.Http.PostAsync("/erp/orders.svc", content);
    }
}
