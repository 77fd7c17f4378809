using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace MobileIntegration.Tests.BackendSystems;

[Collection(BackOfficeTests.Name)]
public sealed class FaultTests(BackOffice office) : IAsyncLifetime
{
    private const string Customer = "/crm/v1/customers/C-000123";

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var system in new[] { "crm", "erp", "pim" })
        {
            await office.Http.DeleteAsync($"/{system}/faults");
        }
    }

    [Fact]
    public async Task A_failing_crm_answers_problems_and_the_rest_of_the_house_works()
    {
        await SetAsync("crm", new { errorRate = 1, errorStatus = 503 });
        using var response = await office.Http.GetAsync(Customer);
        await BackOffice.ProblemAsync(response, 503, "/crm/faults");
        Assert.Equal(TimeSpan.FromSeconds(1), response.Headers.RetryAfter!.Delta);
        using var product = await office.Http.GetAsync("/pim/odata/Products('100042')");
        Assert.Equal(HttpStatusCode.OK, product.StatusCode);
        using var health = await office.Http.GetAsync("/health");
        Assert.Equal(HttpStatusCode.OK, health.StatusCode);
        using var simulate = await office.Http.PostAsJsonAsync("/crm/simulate/moves", new { count = 1, seed = 1 });
        Assert.Equal(HttpStatusCode.OK, simulate.StatusCode);

        using var reset = await office.Http.DeleteAsync("/crm/faults");
        using var healed = await office.Http.GetAsync(Customer);
        Assert.Equal(HttpStatusCode.OK, healed.StatusCode);
    }

    [Fact]
    public async Task A_failing_erp_answers_a_server_fault_or_a_proxy_page()
    {
        await SetAsync("erp", new { errorRate = 1, errorStatus = 500 });
        using var fault = await office.Http.PostAsync("/erp/orders.svc", new StringContent("<x/>", Encoding.UTF8, "text/xml"));
        Assert.Equal(HttpStatusCode.InternalServerError, fault.StatusCode);
        Assert.Contains(":Server</faultcode>", await fault.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await SetAsync("erp", new { errorRate = 1, errorStatus = 502 });
        using var page = await office.Http.PostAsync("/erp/orders.svc", new StringContent("<x/>", Encoding.UTF8, "text/xml"));
        Assert.Equal((HttpStatusCode.BadGateway, "text/html"), (page.StatusCode, page.Content.Headers.ContentType?.MediaType));
    }

    [Fact]
    public async Task A_failing_pim_answers_odata_errors()
    {
        await SetAsync("pim", new { errorRate = 1, errorStatus = 429 });
        using var response = await office.Http.GetAsync("/pim/odata/Products");
        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        var error = (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error");
        Assert.Equal("Fault", error.GetProperty("code").GetString());
    }

    [Fact]
    public async Task The_same_seed_fails_the_same_calls()
    {
        var first = await PatternAsync(7);
        Assert.Equal(first, await PatternAsync(7));
        Assert.NotEqual(first, await PatternAsync(8));
        Assert.Contains('x', first);
        Assert.Contains('.', first);
    }

    [Fact]
    public async Task An_outage_cuts_the_connection()
    {
        await SetAsync("crm", new { outage = true });
        await Assert.ThrowsAsync<HttpRequestException>(() => office.Http.GetAsync(Customer));
        var settings = await office.GetAsync("/crm/faults");
        Assert.True(settings.GetProperty("outage").GetBoolean());
    }

    [Fact]
    public async Task Latency_and_drip_take_their_time()
    {
        await SetAsync("crm", new { latencyMs = 300 });
        var started = Stopwatch.GetTimestamp();
        using var late = await office.Http.GetAsync(Customer);
        Assert.InRange(Stopwatch.GetElapsedTime(started).TotalMilliseconds, 290, 10_000);

        await SetAsync("crm", new { dripBytesPerSecond = 1_000 });
        started = Stopwatch.GetTimestamp();
        using var dripped = await office.Http.GetAsync(Customer);
        var body = await dripped.Content.ReadAsByteArrayAsync();
        Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, body.Length / 1_000.0 * 0.9, 30);
        Assert.Equal("C-000123", JsonSerializer.Deserialize<JsonElement>(body).GetProperty("id").GetString());
    }

    [Fact]
    public async Task Soap_and_odata_answers_drip_too_and_stay_whole()
    {
        await SetAsync("erp", new { dripBytesPerSecond = 50_000 });
        var message = """
            <s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
            <GetOrder xmlns="http://erp.example.com/orders/v1"><orderNo>4500001234</orderNo></GetOrder></s:Body></s:Envelope>
            """;
        using var order = await office.Http.PostAsync("/erp/orders.svc", new StringContent(message, Encoding.UTF8, "text/xml"));
        Assert.EndsWith("Envelope>", await order.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        await SetAsync("pim", new { dripBytesPerSecond = 50_000 });
        Assert.Equal(10, (await office.GetAsync("/pim/odata/Products?$top=10")).GetProperty("value").GetArrayLength());
    }

    [Theory]
    [InlineData("""{"latencyMs":-1}""", "latencyMs")]
    [InlineData("""{"jitterMs":60001}""", "jitterMs")]
    [InlineData("""{"errorRate":1.5}""", "errorRate")]
    [InlineData("""{"errorStatus":200}""", "errorStatus")]
    [InlineData("""{"dripBytesPerSecond":-5}""", "dripBytesPerSecond")]
    [InlineData("""{"latencyMs":"long"}""", "latencyMs")]
    [InlineData("""{"errorRates":1}""", "errorRates")]
    [InlineData("nothing", "")]
    public async Task Settings_out_of_range_change_nothing(string settings, string says)
    {
        using var response = await office.Http.PutAsync("/crm/faults", new StringContent(settings, Encoding.UTF8, "application/json"));
        await BackOffice.ProblemAsync(response, 400, says);
        Assert.Equal(0, (await office.GetAsync("/crm/faults")).GetProperty("errorRate").GetDouble());
    }

    [Theory]
    [InlineData("/crm/simulate/moves")]
    [InlineData("/erp/simulate/advance")]
    [InlineData("/pim/simulate/prices")]
    [InlineData("/wms/simulate/movements")]
    public async Task A_simulation_is_bounded(string path)
    {
        using var response = await office.Http.PostAsJsonAsync(path, new { count = 1_001 });
        await BackOffice.ProblemAsync(response, 400, "1 to 1000");
    }

    private async Task SetAsync(string system, object settings)
    {
        using var response = await office.Http.PutAsJsonAsync($"/{system}/faults", settings);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
    }

    private async Task<string> PatternAsync(int seed)
    {
        await SetAsync("crm", new { errorRate = 0.5, seed });
        var pattern = new StringBuilder();
        for (var call = 0; call < 20; call++)
        {
            using var response = await office.Http.GetAsync(Customer);
            pattern.Append(response.IsSuccessStatusCode ? '.' : 'x');
        }

        return pattern.ToString();
    }
}
