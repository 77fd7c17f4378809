using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.IdentityModel.Tokens;
using MobileServices.Devices;
using StackExchange.Redis;
using static MobileIntegration.Tests.MobileServices.DpopProof;

namespace MobileIntegration.Tests.MobileServices;

/// <summary>Installations that have a key, and sign what they ask (DPoP, RFC 9449).</summary>
public sealed class DeviceKeyTests(DeviceKeyTests.Running running) : IClassFixture<DeviceKeyTests.Running>, IDisposable
{
    public sealed class Running : IAsyncLifetime
    {
        internal TestService<DeviceStore> Service { get; private set; } = null!;

        public async Task InitializeAsync() => Service = new(("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()), ("Run", "devices"));

        public async Task DisposeAsync() => await Service.DisposeAsync();
    }

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly string _id = Guid.NewGuid().ToString();
    private readonly string _ada = TestAuthority.Shared.Token("devices");
    private readonly string _eve = TestAuthority.Shared.Token("devices", token => token.Claims["sub"] = "eve");
    private readonly TestService<DeviceStore> _service = running.Service;

    private string Address => $"{_service.Address}devices/{_id}";

    public void Dispose() => _key.Dispose();

    [Fact]
    public async Task The_client_dpop_registers_a_key_and_nobody_else_renews_the_registration()
    {
        var root = await DpopAsync(_service.Address, _ada, _id);

        Assert.Equal([201, 401, 200, 401, 401], Statuses(root));
        Assert.Equal(root.GetProperty("thumbprint").GetString(), root.GetProperty("renewed").GetProperty("body").GetProperty("key").GetString());
        Assert.Equal("DPoP algs=\"ES256\", error=\"invalid_dpop_proof\"", root.GetProperty("replayed").GetProperty("challenge").GetString());
        Assert.Contains("has been used before", root.GetProperty("replayed").GetProperty("body").GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_user_takes_a_device_over_with_its_key_only()
    {
        Assert.Equal(HttpStatusCode.Created, (await PutAsync(_ada, Proof(_ada))).StatusCode);

        await (await PutAsync(_eve, null)).ProblemAsync(401);
        Assert.Equal("ada", (await ReadAsync(_ada)).GetProperty("user").GetString());

        Assert.Equal(HttpStatusCode.OK, (await PutAsync(_eve, Proof(_eve))).StatusCode);
        Assert.Equal("eve", (await ReadAsync(_eve)).GetProperty("user").GetString());
    }

    [Fact]
    public async Task A_device_that_has_none_gets_a_key_by_a_registration_but_not_by_a_start_of_somebody_who_knows_its_id()
    {
        await PutAsync(_ada, null);
        using var stranger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Assert.Equal(HttpStatusCode.OK, (await InitAsync(Sign(stranger, Claims("POST", $"{_service.Address}devices/init", null)), "9.9.9")).StatusCode);
        Assert.Equal(JsonValueKind.Null, (await ReadAsync(_ada)).GetProperty("key").ValueKind);

        await PutAsync(_ada, Proof(_ada));
        Assert.Equal(Thumbprint(_key), (await ReadAsync(_ada)).GetProperty("key").GetString());
    }

    [Fact]
    public async Task What_somebody_without_the_key_tells_at_a_start_is_answered_but_not_noted()
    {
        await PutAsync(_ada, Proof(_ada));

        Assert.Equal(HttpStatusCode.OK, (await InitAsync(null, "9.9.9")).StatusCode);
        Assert.Equal("1.4.0", (await ReadAsync(_ada)).GetProperty("appVersion").GetString());

        Assert.Equal(HttpStatusCode.OK, (await InitAsync(Sign(_key, Claims("POST", $"{_service.Address}devices/init", null)), "1.5.0")).StatusCode);
        Assert.Equal("1.5.0", (await ReadAsync(_ada)).GetProperty("appVersion").GetString());
    }

    [Fact]
    public async Task Its_user_removes_a_device_whose_key_is_lost()
    {
        await PutAsync(_ada, Proof(_ada));
        using var request = new HttpRequestMessage(HttpMethod.Delete, Address);
        request.Headers.Authorization = new("Bearer", _ada);
        Assert.Equal(HttpStatusCode.NoContent, (await _service.Http.SendAsync(request)).StatusCode);

        Assert.Equal(HttpStatusCode.Created, (await PutAsync(_ada, null)).StatusCode);
    }

    [Fact]
    public async Task Where_keys_are_required_nothing_registers_without()
    {
        await using var strict = new TestService<DeviceStore>(
            ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()), ("Run", "devices"), ("Devices:RequireKeys", "true"));
        await (await strict.Http.PutAsJsonAsync($"/devices/{_id}", Registration())).ProblemAsync(401);
    }

    [Theory]
    [InlineData("another method", "htm")]
    [InlineData("another address", "htu")]
    [InlineData("another host", "htu")]
    [InlineData("an hour ago", "iat")]
    [InlineData("in an hour", "iat")]
    [InlineData("no time", "iat")]
    [InlineData("no identifier", "jti")]
    [InlineData("a long identifier", "jti")]
    [InlineData("another token", "ath")]
    [InlineData("no token", "ath")]
    [InlineData("another type", "typ")]
    [InlineData("alg none", "alg")]
    [InlineData("HS256", "alg")]
    [InlineData("a private key", "private")]
    [InlineData("another curve", "P-256")]
    [InlineData("a point off the curve", "cannot be read")]
    [InlineData("a key spelled otherwise", "P-256")]
    [InlineData("another key", "not signed")]
    [InlineData("changed claims", "not signed")]
    [InlineData("no signature", "not signed")]
    [InlineData("two parts", "not a JWT")]
    [InlineData("five kilobytes", "not a JWT")]
    [InlineData("no JSON", "cannot be read")]
    [InlineData("an array", "cannot be read")]
    [InlineData("empty", "empty")]
    public async Task A_wrong_proof_is_refused_and_told_why_and_nothing_is_registered(string wrong, string told)
    {
        var problem = await (await PutAsync(_ada, WrongProof(wrong))).ProblemAsync(401);

        Assert.Contains(told, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        using var missing = await _service.Http.GetAsync($"/devices/{_id}", _ada);
        Assert.Equal(HttpStatusCode.NotFound, missing.StatusCode);
    }

    [Fact]
    public async Task Two_proofs_at_once_are_refused()
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, Address) { Content = JsonContent.Create(Registration()) };
        request.Headers.Authorization = new("Bearer", _ada);
        request.Headers.Add("DPoP", [Proof(_ada), Proof(_ada)]);
        await (await _service.Http.SendAsync(request)).ProblemAsync(401);
    }

    [Fact]
    public async Task A_proof_that_one_replica_has_seen_is_refused_by_the_other_and_without_Redis_new_ones_still_pass()
    {
        var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddRedis("redis");
        await using var storage = builder.Build();
        await storage.StartAsync();
        (string, string)[] settings =
        [
            ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync()), ("ConnectionStrings:redis", (await storage.GetConnectionStringAsync("redis"))!), ("Run", "devices"),
        ];
        await using var one = new TestService<DeviceStore>(settings);
        await using var other = new TestService<DeviceStore>(settings);
        var proof = Proof(_ada);
        await Eventually.TrueAsync(() => Replicas().All(redis => redis.IsConnected), TimeSpan.FromSeconds(20));
        Assert.Equal(HttpStatusCode.Created, (await PutAsync(_ada, proof, one)).StatusCode);

        var problem = await (await PutAsync(_ada, proof, other)).ProblemAsync(401);

        Assert.Contains("has been used before", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        await storage.StopAsync();
        await Eventually.TrueAsync(() => Replicas().All(redis => !redis.IsConnected), TimeSpan.FromSeconds(20));
        var late = Proof(_ada);
        Assert.Equal(HttpStatusCode.OK, (await PutAsync(_ada, late, other)).StatusCode);
        await (await PutAsync(_ada, late, other)).ProblemAsync(401);

        IEnumerable<IConnectionMultiplexer> Replicas() => [one.Services.GetRequiredService<IConnectionMultiplexer>(), other.Services.GetRequiredService<IConnectionMultiplexer>()];
    }

    /// <summary>A registration, the same again with its proof, a renewal, one without a proof, one by another key: what the npm client "dpop" got.</summary>
    internal static async Task<JsonElement> DpopAsync(Uri address, string token, string id)
    {
        using var node = Process.Start(new ProcessStartInfo("node", [Path.Combine(NpmClients.Folder(), "dpop.mjs"), $"{address}", token, id])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        await node.StandardInput.WriteAsync(Registration().ToJsonString());
        node.StandardInput.Close();
        using var told = JsonDocument.Parse(await node.StandardOutput.ReadToEndAsync());
        return told.RootElement.Clone();
    }

    internal static IEnumerable<int> Statuses(JsonElement told) =>
        new[] { "first", "replayed", "renewed", "unsigned", "other" }.Select(name => told.GetProperty(name).GetProperty("status").GetInt32());

    private string WrongProof(string wrong)
    {
        var claims = Claims("PUT", Address, _ada);
        var header = Header(_key);
        switch (wrong)
        {
            case "another method": claims["htm"] = "POST"; break;
            case "another address": claims["htu"] = $"{_service.Address}devices/{Guid.NewGuid()}"; break;
            case "another host": claims["htu"] = $"http://elsewhere.example/devices/{_id}"; break;
            case "an hour ago": claims["iat"] = DateTimeOffset.UtcNow.AddHours(-1).ToUnixTimeSeconds(); break;
            case "in an hour": claims["iat"] = DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeSeconds(); break;
            case "no time": claims.Remove("iat"); break;
            case "no identifier": claims.Remove("jti"); break;
            case "a long identifier": claims["jti"] = new string('x', 129); break;
            case "another token": claims = Claims("PUT", Address, _eve); break;
            case "no token": claims.Remove("ath"); break;
            case "another type": header["typ"] = "JWT"; break;
            case "alg none": header["alg"] = "none"; break;
            case "HS256": header["alg"] = "HS256"; break;
            case "a private key": header["jwk"]!["d"] = "AAAA"; break;
            case "another curve": header["jwk"]!["crv"] = "P-384"; break;
            case "a point off the curve": header["jwk"]!["x"] = Base64UrlEncoder.Encode(new byte[32]); break;
            case "a key spelled otherwise": header["jwk"]!["x"] = (string?)header["jwk"]!["x"] + "="; break;
            case "another key":
                using (var other = ECDsa.Create(ECCurve.NamedCurves.nistP256))
                {
                    return Sign(other, claims, header);
                }
            case "changed claims":
                {
                    var parts = Sign(_key, claims, header).Split('.');
                    claims["jti"] = "another";
                    return $"{parts[0]}.{Part(claims)}.{parts[2]}";
                }
            case "no signature": return $"{Part(header)}.{Part(claims)}.";
            case "two parts": return $"{Part(header)}.{Part(claims)}";
            case "five kilobytes": claims["more"] = new string('x', 5_000); break;
            case "no JSON": return "a.b.c";
            case "an array": return $"{Base64UrlEncoder.Encode("[]")}.{Base64UrlEncoder.Encode("[]")}.AAAA";
            case "empty": return "";
            default: throw new ArgumentOutOfRangeException(nameof(wrong), wrong, "Not known.");
        }
        return Sign(_key, claims, header);
    }

    private string Proof(string token) => Sign(_key, Claims("PUT", Address, token));

    private Task<HttpResponseMessage> PutAsync(string token, string? proof) => PutAsync(token, proof, _service);

    /// <param name="replica">Behind a gateway whose address is that of <see cref="_service"/>.</param>
    private async Task<HttpResponseMessage> PutAsync(string token, string? proof, TestService<DeviceStore> replica)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, $"/devices/{_id}") { Content = JsonContent.Create(Registration()) };
        request.Headers.Add("X-Forwarded-Host", _service.Address.Authority);
        request.Headers.Authorization = new("Bearer", token);
        if (proof is not null)
        {
            request.Headers.TryAddWithoutValidation("DPoP", proof);
        }
        return await replica.Http.SendAsync(request);
    }

    private async Task<HttpResponseMessage> InitAsync(string? proof, string version)
    {
        var launch = Registration();
        launch.Remove("pushAddresses");
        launch["deviceId"] = _id;
        launch["appVersion"] = version;
        using var client = new HttpClient { BaseAddress = _service.Address };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/devices/init") { Content = JsonContent.Create(launch) };
        if (proof is not null)
        {
            request.Headers.Add("DPoP", proof);
        }
        return await client.SendAsync(request);
    }

    private async Task<JsonElement> ReadAsync(string token)
    {
        using var response = await _service.Http.GetAsync($"/devices/{_id}", token);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    private static JsonObject Registration() => new()
    {
        ["appId"] = "com.example.shop",
        ["appVersion"] = "1.4.0",
        ["platform"] = "android",
        ["osVersion"] = "16",
        ["model"] = "Pixel 9",
        ["locale"] = "de-AT",
        ["timeZone"] = "Europe/Vienna",
        ["pushAddresses"] = new JsonArray(),
    };
}
