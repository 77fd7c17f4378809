using System.Net.Http.Json;
using MobileIntegration.Contracts;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>What is taken for a command or an operator's question, and what is not.</summary>
[Collection(nameof(BackOffice))]
public sealed class CommandInputTests(BackOffice office)
{
    private readonly HttpClient _http = office.Integration.Http;
    private readonly Commands _commands = new(office.Integration.Http);

    [Fact]
    public async Task What_is_wrong_with_an_order_is_named_and_nothing_is_written_down()
    {
        var order = new NewOrder("C-000214", "W05", new("Ada Müller", "Ring 1", "10115", "Berlin", "DE"), [new("100001", 1)]);
        await (await _http.PostAsJsonAsync("/orders", order)).ProblemAsync(400);
        foreach (var (wrong, field) in ((NewOrder, string)[])
        [
            (order with { CustomerId = "123" }, "customerId"),
            (order with { StoreId = "W'1" }, "storeId"),
            (order with { Lines = [] }, "lines"),
            (order with { Lines = [order.Lines[0], order.Lines[0]] }, "lines.productId"),
            (order with { Lines = [order.Lines[0] with { Quantity = 0 }] }, "lines[0].quantity"),
            (order with { ShipTo = order.ShipTo with { Name = "a\u0000b" } }, "shipTo.name"),
            (order with { ShipTo = order.ShipTo with { City = "\uffff" } }, "shipTo.city"),
            (order with { ShipTo = null! }, "shipTo.street"),
            (order with { ExpectedTotal = new("\0\0\0", 1) }, "expectedTotal"),
        ])
        {
            var problem = await (await _commands.SendAsync("/orders", wrong)).ProblemAsync(400);
            Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _), problem.ToString());
        }
        foreach (var (path, parameter) in ((string, string)[])[("status=1", "status"), ("status=dead,done", "status"), ("kind=%00", "kind"), ("limit=101", "limit")])
        {
            Assert.True((await (await _http.GetAsync($"/commands?{path}")).ProblemAsync(400)).GetProperty("errors").TryGetProperty(parameter, out _), path);
        }
        await (await _commands.SendAsync("/customers/C-000214/addresses/1", new NewAddress("Ring", "1", "10115", "Berlin", "DE"), method: HttpMethod.Put)).ProblemAsync(400);
    }

    /// <summary>Not UTF-8, half a surrogate pair, too deep, too long, cut short, or of another kind.</summary>
    [Theory]
    [InlineData("{\"customerId\":\"\u00ff\"}", "application/json", 400)]
    [InlineData("{\"customerId\":\"\\ud800\"}", "application/json", 400)]
    [InlineData("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "application/json", 400)]
    [InlineData("{\"customerId\":\"C-0", "application/json", 400)]
    [InlineData("", "application/json", 400)]
    [InlineData("{\"lines\":\"LONG\"}", "application/json", 413)]
    [InlineData("<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>", "application/xml", 415)]
    public async Task A_body_that_is_no_order_is_a_problem(string body, string type, int status)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/orders")
        {
            Content = new ByteArrayContent(System.Text.Encoding.Latin1.GetBytes(body.Replace("LONG", new string('x', 10_000_000), StringComparison.Ordinal))),
        };
        request.Content.Headers.ContentType = new(type);
        request.Headers.ExpectContinue = true;
        request.Headers.Add("Idempotency-Key", Guid.NewGuid().ToString());
        await (await _http.SendAsync(request)).ProblemAsync(status);
    }
}
