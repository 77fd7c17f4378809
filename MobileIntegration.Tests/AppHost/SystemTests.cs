using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Xml.Linq;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using MobileIntegration.Tests.MobileServices;
using Npgsql;

namespace MobileIntegration.Tests.AppHost;

[Collection(nameof(SystemTests))]
public sealed class GroupedSystemTests(GroupedSystem system) : SystemTests(system), IClassFixture<GroupedSystem>;

[Collection(nameof(SystemTests))]
public sealed class SplitSystemTests(SplitSystem system) : SystemTests(system), IClassFixture<SplitSystem>;

/// <summary>What holds for the whole system, however its microservices are spread over processes.</summary>
public abstract class SystemTests(RunningSystem system) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private HttpClient _gateway = null!;

    public async Task InitializeAsync() => _gateway = await system.GatewayAsync();

    public Task DisposeAsync()
    {
        _gateway.Dispose();
        return Task.CompletedTask;
    }

    [Theory]
    [InlineData("C-000123")]
    [InlineData("C-004711")]
    public Task The_home_page_through_the_gateway_equals_what_the_four_backends_hold(string customer) =>
        // What another test has just changed comes a moment later.
        Eventually.HoldsAsync(() => HomeEqualsBackendsAsync(customer), Patience);

    [Fact]
    public async Task A_change_in_the_back_office_is_on_the_home_page_moments_later()
    {
        var home = await _gateway.GetFromJsonAsync<JsonElement>("/api/home?customer=C-000007");
        var before = Data(home, "profile").GetProperty("familyName").GetString();
        using var current = await system.ClientOf("crm").GetAsync("/crm/v1/customers/C-000007");
        using var patch = new HttpRequestMessage(HttpMethod.Patch, "/crm/v1/customers/C-000007")
        {
            Content = new StringContent("""{"name":{"family":"Umbenannt"}}""", Encoding.UTF8, "application/merge-patch+json"),
        };
        patch.Headers.IfMatch.Add(current.Headers.ETag!);
        using var patched = await system.ClientOf("crm").SendAsync(patch);
        Assert.Equal(HttpStatusCode.OK, patched.StatusCode);

        Assert.NotEqual("Umbenannt", before);
        await Eventually.TrueAsync(
            async () => Data(await _gateway.GetFromJsonAsync<JsonElement>("/api/home?customer=C-000007"), "profile").GetProperty("familyName").GetString() == "Umbenannt",
            Patience);
    }

    [Fact]
    public async Task One_trace_spans_gateway_frontend_integration_backends_and_SQL()
    {
        var traceId = Convert.ToHexStringLower(Guid.NewGuid().ToByteArray());
        // The header goes as it is: services that other tests run in this process trace its calls, and would put their own in its place.
        using var app = new HttpClient(new SocketsHttpHandler { ActivityHeadersPropagator = null }) { BaseAddress = _gateway.BaseAddress };
        app.DefaultRequestHeaders.Authorization = _gateway.DefaultRequestHeaders.Authorization;
        app.DefaultRequestHeaders.Add("traceparent", $"00-{traceId}-00f067aa0ba902b7-01");
        app.DefaultRequestHeaders.Add("Prefer", "wait=25");
        // Nobody has asked for these before, so that nothing of them is kept.
        foreach (var path in (string[])["/api/home?customer=C-003210", "/api/catalog/products/101210"])
        {
            using var response = await app.GetAsync(path);
            response.EnsureSuccessStatusCode();
        }

        var spans = await system.Traces.WaitForTraceAsync(
            traceId,
            spans => system.HomeServices.All(service => spans.Any(span => span.Service == service)) && spans.Any(span => span.Scope == "Npgsql"),
            Patience);
        spans = await system.Traces.WaitForTraceAsync(traceId, all => all.All(span => HasParent(span, all)), Patience);
        Assert.Contains(spans, span => span.Service == "gateway" && span.ParentSpanId == "00f067aa0ba902b7");

        static bool HasParent(ReceivedSpan span, IReadOnlyList<ReceivedSpan> all) =>
            span.ParentSpanId == "00f067aa0ba902b7" || all.Any(other => other.SpanId == span.ParentSpanId);
    }

    [Fact]
    public async Task A_device_registers_through_the_gateway()
    {
        var id = Guid.CreateVersion7();
        var device = new
        {
            appId = "com.example.shop",
            appVersion = "1.4.0",
            platform = "android",
            osVersion = "16",
            model = "Pixel 9",
            locale = "de-DE",
            timeZone = "Europe/Berlin",
            pushAddresses = Array.Empty<object>(),
        };

        using var first = await _gateway.PutAsJsonAsync($"/devices/{id}", device);
        using var second = await _gateway.PutAsJsonAsync($"/devices/{id}", device);

        Assert.Equal(HttpStatusCode.Created, first.StatusCode);
        Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        Assert.Equal("Pixel 9", (await _gateway.GetFromJsonAsync<JsonElement>($"/devices/{id}")).GetProperty("model").GetString());
    }

    [Fact]
    public async Task A_device_registers_its_key_through_the_gateway()
    {
        var told = await DeviceKeyTests.DpopAsync(_gateway.BaseAddress!, _gateway.DefaultRequestHeaders.Authorization!.Parameter!, Guid.CreateVersion7().ToString());

        Assert.Equal([201, 401, 200, 401, 401], DeviceKeyTests.Statuses(told));
    }

    [Fact]
    public async Task An_app_logs_in_through_the_gateway_as_the_development_user()
    {
        var discovery = await _gateway.GetFromJsonAsync<JsonElement>("/identity/.well-known/openid-configuration");
        var issuer = new Uri(_gateway.BaseAddress!, "/identity").AbsoluteUri;
        Assert.Equal(issuer, discovery.GetProperty("issuer").GetString());
        Assert.Equal($"{issuer}/connect/token", discovery.GetProperty("token_endpoint").GetString());

        using var browser = new Browser(_gateway.BaseAddress!);
        var (address, verifier) = IdentityService.AuthorizeAddress("development-app", "openid offline_access home");
        var end = await browser.LogInAsync(address, "ada", "development-only");
        var tokens = await IdentityService.TokenAsync(
            _gateway, "authorization_code", ("client_id", "development-app"), ("code", end.Parameter("code")), ("redirect_uri", IdentityService.Redirect),
            ("code_verifier", verifier));

        Assert.Equal(issuer, tokens.Text("access_token").Part(1).Text("iss"));
        using (var home = await _gateway.GetAsync("/api/home", tokens.Text("access_token")))
        {
            Assert.Equal("C-000123", Data(await home.Content.ReadFromJsonAsync<JsonElement>(), "profile").GetProperty("id").GetString());
        }
        using (var other = await _gateway.GetAsync("/api/home?customer=C-000124", tokens.Text("access_token")))
        {
            await other.ProblemAsync(403);
        }
        var refreshed = await IdentityService.TokenAsync(
            _gateway, "refresh_token", ("client_id", "development-app"), ("refresh_token", tokens.Text("refresh_token")));
        Assert.Equal("Bearer", refreshed.Text("token_type"));
    }

    [Fact]
    public async Task The_development_users_orders_are_in_his_database_and_what_his_phone_writes_there_is_answered()
    {
        using var browser = new Browser(_gateway.BaseAddress!);
        var (address, verifier) = IdentityService.AuthorizeAddress("development-app", "openid sync orders");
        var end = await browser.LogInAsync(address, "ada", "development-only");
        var tokens = await IdentityService.TokenAsync(
            _gateway, "authorization_code", ("client_id", "development-app"), ("code", end.Parameter("code")), ("redirect_uri", IdentityService.Redirect),
            ("code_verifier", verifier));
        using var phone = new HttpClient { BaseAddress = new(_gateway.BaseAddress!, "/sync/orders/") };
        phone.Authorize(tokens.Text("access_token"));

        await Eventually.TrueAsync(async () => (await phone.GetFromJsonAsync<JsonElement>("_all_docs")).GetProperty("total_rows").GetInt32() > 0, Patience);
        using var written = await phone.PutAsJsonAsync("mine", new
        {
            storeId = "W99", // no store: the Wms has nothing there
            shipTo = new { name = "Ada", street = "Ring 1", postcode = "10115", city = "Berlin", country = "DE" },
            lines = new[] { new { productId = "100042", quantity = 1 } },
        });
        Assert.Equal(HttpStatusCode.Created, written.StatusCode);

        await Eventually.TrueAsync(async () => (await phone.GetFromJsonAsync<JsonElement>("mine")).TryGetProperty("problem", out _), Patience);
    }

    [Theory]
    [InlineData("/api/home?customer=C-000001")]
    [InlineData("/devices/3f2504e0-4f89-41d3-9a0c-0305e82c3301")]
    public async Task Without_a_token_only_identity_answers(string path)
    {
        var response = await _gateway.GetAsync(path, null);
        await response.ProblemAsync(401);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.Single().Scheme);
    }

    [Theory]
    [InlineData("/health")]
    [InlineData("/alive")]
    [InlineData("/customers/C-000123")]
    [InlineData("/crm/v1/customers/C-000123")]
    [InlineData("/openapi/v1.json")]
    [InlineData("/identity/users/ada")]
    [InlineData("/webhooks/erp")]
    public async Task What_is_internal_is_not_on_the_gateway(string path) => await (await _gateway.GetAsync(path)).ProblemAsync(404);

    [Fact]
    public async Task A_stopped_instance_of_the_gateway_is_not_missed_and_comes_back_at_the_same_address()
    {
        var replica = (await system.App.ResourceNotifications.WaitForResourceAsync("gateway", IsRunning).WaitAsync(Patience)).ResourceId;

        var stopped = await system.App.ResourceCommands.ExecuteCommandAsync(replica, KnownResourceCommands.StopCommand);
        Assert.True(stopped.Success, stopped.Message);
        for (var request = 0; request < 20; request++)
        {
            // A connection of its own each time.
            using var response = await _gateway.GetAsync("/api/home?customer=C-000001", _gateway.DefaultRequestHeaders.Authorization!.Parameter);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        await system.App.ResourceCommands.ExecuteCommandAsync(replica, KnownResourceCommands.StartCommand);
        await system.App.ResourceNotifications.WaitForResourceAsync("gateway", gateway =>
            gateway.ResourceId == replica && IsRunning(gateway) && gateway.Snapshot.HealthStatus is HealthStatus.Healthy).WaitAsync(Patience);
        await system.App.ResourceNotifications.WaitForResourceHealthyAsync("gateway").WaitAsync(Patience);
        Assert.Equal(_gateway.BaseAddress, system.App.GetEndpoint("gateway", "http"));
    }

    [Fact]
    public async Task While_identity_is_stopped_valid_tokens_pass()
    {
        // Each call on a connection of its own, so that they reach both replicas; one that has just started may not have the keys yet.
        var token = _gateway.DefaultRequestHeaders.Authorization!.Parameter;
        Task<HttpResponseMessage> HomeAsync(int customer) => _gateway.GetAsync($"/api/home?customer=C-{customer:000000}", token);
        await Eventually.TrueAsync(
            async () => (await Task.WhenAll(Enumerable.Range(1, 16).Select(HomeAsync))).All(response => response.IsSuccessStatusCode), TimeSpan.FromSeconds(30));

        var stopped = await system.App.ResourceCommands.ExecuteCommandAsync(system.Identity, KnownResourceCommands.StopCommand);
        Assert.True(stopped.Success, stopped.Message);
        try
        {
            using var login = await _gateway.GetAsync("/identity/.well-known/openid-configuration");
            Assert.NotEqual(HttpStatusCode.OK, login.StatusCode);
            for (var customer = 1; customer <= 20; customer++)
            {
                using var response = await HomeAsync(customer);
                var home = await response.Content.ReadFromJsonAsync<JsonElement>();
                Assert.True(response.IsSuccessStatusCode && home.GetProperty("profile").TryGetProperty("data", out _), home.ToString());
                Assert.Equal($"C-{customer:000000}", Data(home, "profile").GetProperty("id").GetString());
            }
            await (await _gateway.GetAsync("/api/home", TestAuthority.AllScopes)).ProblemAsync(401);
        }
        finally
        {
            await system.App.ResourceCommands.ExecuteCommandAsync(system.Identity, KnownResourceCommands.StartCommand);
            await system.App.ResourceNotifications.WaitForResourceHealthyAsync(system.Identity).WaitAsync(Patience);
        }
    }

    [Fact]
    public async Task Private_keys_are_sealed_in_the_database()
    {
        await using var connection = new NpgsqlConnection(await system.App.GetConnectionStringAsync("mobiledb"));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            "select bool_and(get_byte(private_key, 0) = 1) from (select private_key from identity.signing_key union all select private_key from devices.decision_key) as keys", connection);
        Assert.Equal(true, await command.ExecuteScalarAsync());
    }

    [Theory]
    [InlineData("crm", "moves", "CustomerChanged")]
    [InlineData("erp", "advance", "OrderChanged")]
    [InlineData("pim", "prices", "PriceChanged")]
    [InlineData("wms", "movements", "StockChanged")]
    public async Task A_change_in_a_backend_system_is_told_as_an_event(string name, string what, string type)
    {
        using var content = new StringContent("""{"count":3}""", Encoding.UTF8, "application/json");
        using var response = await system.ClientOf(name).PostAsync($"/{name}/simulate/{what}", content);
        response.EnsureSuccessStatusCode();
        await using var connection = new NpgsqlConnection(await system.App.GetConnectionStringAsync("integrationdb"));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            "select count(*) >= 3 and exists (select from changes.webhook where system = $2) from events.event where type = $1", connection)
        {
            Parameters = { new() { Value = type }, new() { Value = name } },
        };
        await Eventually.TrueAsync(async () => (bool)(await command.ExecuteScalarAsync())!, TimeSpan.FromSeconds(60));
    }

    private async Task HomeEqualsBackendsAsync(string customer)
    {
        var home = await _gateway.GetFromJsonAsync<JsonElement>($"/api/home?customer={customer}");

        var crm = await system.ClientOf("crm").GetFromJsonAsync<JsonElement>($"/crm/v1/customers/{customer}");
        var profile = Data(home, "profile");
        Assert.Equal(crm.GetProperty("name").GetProperty("family").GetString(), profile.GetProperty("familyName").GetString());
        Assert.Equal(crm.GetProperty("name").GetProperty("given").GetString(), profile.GetProperty("givenName").GetString());
        Assert.Equal(crm.GetProperty("loyalty").GetProperty("points").GetInt32(), profile.GetProperty("loyalty").GetProperty("points").GetInt32());

        var orders = Data(home, "orders").EnumerateArray().ToList();
        var erp = await ErpOrdersAsync(customer, orders.Count);
        Assert.NotEmpty(orders);
        Assert.Equal(
            erp.Select(order => (Value(order, "OrderNo"), Value(order, "Status"), decimal.Parse(Value(order, "GrossAmount"), CultureInfo.InvariantCulture))),
            orders.Select(order => (
                order.GetProperty("id").GetString()!,
                order.GetProperty("status").GetString()!.ToUpperInvariant(),
                order.GetProperty("total").GetProperty("minorUnits").GetInt64() / 100m)));

        var products = Data(home, "suggestions").EnumerateArray().ToList();
        Assert.NotEmpty(products);
        foreach (var product in products)
        {
            var sku = product.GetProperty("id").GetString();
            var pim = await system.ClientOf("pim").GetFromJsonAsync<JsonElement>($"/pim/odata/Products('{sku}')");
            Assert.Contains(pim.GetProperty("Name").GetString()!, product.ToString(), StringComparison.Ordinal);
            var price = pim.GetProperty("SalePrice") is { ValueKind: JsonValueKind.Number } sale ? sale : pim.GetProperty("ListPrice");
            Assert.Contains(
                string.Create(CultureInfo.InvariantCulture, $"\"minorUnits\":{price.GetDecimal() * 100:0}"), product.ToString(), StringComparison.Ordinal);
        }

        var stock = Data(home, "stock").EnumerateArray().ToList();
        Assert.Equal(products.Select(product => product.GetProperty("id").GetString()), stock.Select(one => one.GetProperty("productId").GetString()));
        foreach (var one in stock)
        {
            foreach (var store in one.GetProperty("stores").EnumerateArray())
            {
                Assert.Equal(
                    await WmsStockAsync(one.GetProperty("productId").GetString()!, store.GetProperty("storeId").GetString()!),
                    store.GetProperty("available").GetInt32());
            }
        }
    }

    private static bool IsRunning(ResourceEvent change) => change.Snapshot.State?.Text == KnownResourceStates.Running;

    private static JsonElement Data(JsonElement home, string section)
    {
        var element = home.GetProperty(section);
        Assert.True(element.GetProperty("status").GetString() == "fresh", element.ToString());
        return element.GetProperty("data");
    }

    private static string Value(XElement order, string name) => order.Elements().Single(element => element.Name.LocalName == name).Value;

    private async Task<List<XElement>> ErpOrdersAsync(string customer, int count)
    {
        var number = int.Parse(customer.AsSpan(2), CultureInfo.InvariantCulture);
        using var content = new StringContent(
            $"""
            <s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
              <ListOrders xmlns="http://erp.example.com/orders/v1"><customerNo>{number}</customerNo><maxRows>{count}</maxRows></ListOrders>
            </s:Body></s:Envelope>
            """, Encoding.UTF8, "text/xml");
        content.Headers.Add("SOAPAction", "\"http://erp.example.com/orders/v1/OrderService/ListOrders\"");
        using var response = await system.ClientOf("erp").PostAsync("/erp/orders.svc", content);
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, body);
        return [.. XDocument.Parse(body).Descendants().Where(element => element.Name.LocalName == "OrderHeader")];
    }

    private async Task<int> WmsStockAsync(string article, string store)
    {
        await using var connection = new NpgsqlConnection(await system.App.GetConnectionStringAsync("wmsdb"));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            "select case st_cd when 'A' then greatest(qty_oh - qty_rsv, 0) else 0 end from wms.art_bal where art_no = $1 and whs_cd = $2", connection)
        {
            Parameters = { new() { Value = article }, new() { Value = store } },
        };
        return (int)(await command.ExecuteScalarAsync())!;
    }
}
