using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using MobileServices.Devices;

namespace MobileIntegration.Tests.MobileServices;

public sealed class DevicesTests : IAsyncLifetime
{
    private TestService<DeviceStore> _service = null!;

    public async Task InitializeAsync() => _service = new(("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()), ("Run", "devices"));

    public async Task DisposeAsync() => await _service.DisposeAsync();

    [Fact]
    public async Task A_device_is_created_once_and_renewed_after_that()
    {
        var id = Guid.NewGuid();
        var first = await PutAsync(id, Registration());
        Assert.Equal(HttpStatusCode.Created, first.StatusCode);
        Assert.Equal($"/devices/{id}", first.Headers.Location?.ToString());

        var second = await PutAsync(id, Registration());
        Assert.Equal(HttpStatusCode.OK, second.StatusCode);

        var before = await first.Content.ReadFromJsonAsync<JsonElement>();
        var after = await second.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(before.GetProperty("registeredAt").GetDateTimeOffset(), after.GetProperty("registeredAt").GetDateTimeOffset());
        Assert.True(after.GetProperty("lastSeenAt").GetDateTimeOffset() > before.GetProperty("lastSeenAt").GetDateTimeOffset());
    }

    [Fact]
    public async Task What_was_sent_is_what_is_stored()
    {
        var id = Guid.NewGuid();
        await PutAsync(id, Registration());

        var stored = (await _service.Http.GetFromJsonAsync<JsonObject>($"/devices/{id}"))!;

        foreach (var (name, value) in Registration())
        {
            Assert.True(JsonNode.DeepEquals(value, stored[name]), $"{name} is {stored[name]}");
        }
        Assert.Equal(id.ToString(), (string?)stored["id"]);
    }

    [Fact]
    public async Task A_renewal_replaces_the_push_addresses()
    {
        var id = Guid.NewGuid();
        await PutAsync(id, Registration());
        var renewed = Registration();
        renewed["pushAddresses"] = new JsonArray(new JsonObject { ["network"] = "apns", ["address"] = "beef" });
        await PutAsync(id, renewed);

        var stored = (await _service.Http.GetFromJsonAsync<JsonObject>($"/devices/{id}"))!;
        Assert.True(JsonNode.DeepEquals(renewed["pushAddresses"], stored["pushAddresses"]));

        renewed["pushAddresses"] = new JsonArray();
        await PutAsync(id, renewed);
        stored = (await _service.Http.GetFromJsonAsync<JsonObject>($"/devices/{id}"))!;
        Assert.Empty(stored["pushAddresses"]!.AsArray());
    }

    [Fact]
    public async Task Of_registrations_at_the_same_time_one_creates_and_none_fails()
    {
        var id = Guid.NewGuid();
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => PutAsync(id, Registration())));
        Assert.Single(answers, answer => answer.StatusCode is HttpStatusCode.Created);
        Assert.Equal(19, answers.Count(answer => answer.StatusCode is HttpStatusCode.OK));
    }

    [Fact]
    public async Task A_deleted_device_is_gone_and_deleting_again_changes_nothing()
    {
        var id = Guid.NewGuid();
        await PutAsync(id, Registration());
        Assert.Equal(HttpStatusCode.NoContent, (await _service.Http.DeleteAsync($"/devices/{id}")).StatusCode);
        await (await _service.Http.GetAsync($"/devices/{id}")).ProblemAsync(404);
        Assert.Equal(HttpStatusCode.NoContent, (await _service.Http.DeleteAsync($"/devices/{id}")).StatusCode);
    }

    [Theory]
    [InlineData("appId", null)]
    [InlineData("appId", "\"shop\"")]
    [InlineData("appVersion", "\"one\"")]
    [InlineData("platform", null)]
    [InlineData("osVersion", "\"\"")]
    [InlineData("model", "\"a\\u0000b\"")]
    [InlineData("locale", "\"german!\"")]
    [InlineData("timeZone", "\"Europe/Atlantis\"")]
    [InlineData("timeZone", "\"../etc/passwd\"")]
    [InlineData("pushAddresses", null)]
    [InlineData("pushAddresses[0].network", "[{\"address\":\"x\"}]")]
    [InlineData("pushAddresses[0].address", "[{\"network\":\"fcm\"}]")]
    [InlineData("pushAddresses[0].network", "[null]")]
    [InlineData("pushAddresses", "[{\"network\":\"fcm\",\"address\":\"x\"},{\"network\":\"fcm\",\"address\":\"x\"}]")]
    public async Task A_wrong_field_is_named(string field, string? json)
    {
        var registration = Registration();
        registration[field.Split('[')[0]] = json is null ? null : JsonNode.Parse(json);

        var response = await PutAsync(Guid.NewGuid(), registration);

        var problem = await response.ProblemAsync(400);
        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _), problem.ToString());
    }

    [Fact]
    public async Task All_wrong_fields_are_named_at_once()
    {
        var problem = await (await PutAsync(Guid.NewGuid(), [])).ProblemAsync(400);
        Assert.Equal(8, problem.GetProperty("errors").EnumerateObject().Count());
    }

    [Fact]
    public async Task Eleven_push_addresses_are_too_many()
    {
        var registration = Registration();
        registration["pushAddresses"] = new JsonArray([.. Enumerable.Range(0, 11).Select(n => (JsonNode)new JsonObject { ["network"] = "fcm", ["address"] = $"{n}" })]);
        var problem = await (await PutAsync(Guid.NewGuid(), registration)).ProblemAsync(400);
        Assert.True(problem.GetProperty("errors").TryGetProperty("pushAddresses", out _));
    }

    [Theory]
    [InlineData("abc")]
    [InlineData("00000000-0000-0000-0000-000000000000")]
    [InlineData("%7B3f2504e0-4f89-41d3-9a0c-0305e82c3301%7D")]
    public async Task An_id_that_is_no_uuid_is_refused_by_every_method(string id)
    {
        await (await _service.Http.PutAsJsonAsync($"/devices/{id}", Registration())).ProblemAsync(400);
        await (await _service.Http.GetAsync($"/devices/{id}")).ProblemAsync(400);
        await (await _service.Http.DeleteAsync($"/devices/{id}")).ProblemAsync(400);
    }

    [Theory]
    [InlineData("null", 400)]
    [InlineData("[]", 400)]
    [InlineData("{", 400)]
    [InlineData("", 400)]
    [InlineData("""{"platform":"symbian"}""", 400)]
    [InlineData("""{"platform":1}""", 400)]
    public async Task A_body_that_is_no_registration_is_refused(string body, int status)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        await (await _service.Http.PutAsync($"/devices/{Guid.NewGuid()}", content)).ProblemAsync(status);
    }

    [Fact]
    public async Task A_body_over_half_a_mebibyte_is_refused()
    {
        var registration = Registration();
        registration["model"] = new string('x', 600_000);
        await (await PutAsync(Guid.NewGuid(), registration)).ProblemAsync(413);
    }

    private Task<HttpResponseMessage> PutAsync(Guid id, JsonObject registration) => _service.Http.PutAsJsonAsync($"/devices/{id}", registration);

    private static JsonObject Registration() => new()
    {
        ["appId"] = "com.example.shop",
        ["appVersion"] = "1.4.0-beta.1",
        ["platform"] = "android",
        ["osVersion"] = "16",
        ["model"] = "Pixel 9",
        ["locale"] = "de-AT",
        ["timeZone"] = "Europe/Vienna",
        ["pushAddresses"] = new JsonArray(
            new JsonObject { ["network"] = "webPush", ["address"] = "https://push.example/abc" },
            new JsonObject { ["network"] = "fcm", ["address"] = "token-ä" }),
    };
}
