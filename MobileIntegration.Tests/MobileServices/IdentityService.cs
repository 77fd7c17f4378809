using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Dapper;
using Microsoft.IdentityModel.Tokens;
using MobileServices.Identity;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices;

/// <summary>The identity slice at its own address, with a few clients and the account <see cref="User"/>.</summary>
public sealed class IdentityService : IAsyncLifetime
{
    public const string User = "grace";
    public const string Password = "correct horse battery staple";
    public const string Secret = "a secret of the back office, for tests";
    public const string Redirect = "http://127.0.0.1:51234/callback";
    private readonly int _port = TestServices.FreePort();

    internal TestService<IdentityContext> Service { get; private set; } = null!;

    internal HttpClient Http => Service.Http;

    public string Database { get; private set; } = null!;

    public string Issuer => $"http://127.0.0.1:{_port}/identity";

    public async Task InitializeAsync()
    {
        Database = await TestPostgres.CreateDatabaseAsync();
        Service = new(_port, Settings());
        await AddUserAsync(User);
    }

    public async Task DisposeAsync() => await Service.DisposeAsync();

    /// <summary>Another process of the same deployment, as far as it can tell.</summary>
    internal TestService<IdentityContext> StartReplica(params (string Key, string Value)[] more) => new([.. Settings(), .. more]);

    internal async Task RestartAsync()
    {
        await Service.DisposeAsync();
        Service = new(_port, Settings());
    }

    internal async Task<T> ScalarAsync<T>(string sql)
    {
        await using var connection = new NpgsqlConnection(Database);
        return (await connection.ExecuteScalarAsync<T>(sql))!;
    }

    internal async Task ExecuteAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(Database);
        Assert.NotEqual(0, await connection.ExecuteAsync(sql));
    }

    internal async Task AddUserAsync(string name)
    {
        using var response = await PutUserAsync(name, new { displayName = "Grace Hopper", email = $"{name}@example.com", password = Password });
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
    }

    internal async Task<HttpResponseMessage> PutUserAsync(string name, object account, string scope = "users")
    {
        var token = (await TokenAsync("client_credentials", ("client_id", "back-office"), ("client_secret", Secret), ("scope", scope))).Text("access_token");
        using var request = new HttpRequestMessage(HttpMethod.Put, $"/identity/users/{name}") { Content = JsonContent.Create(account) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return await Http.SendAsync(request);
    }

    /// <summary>Logs in with a browser of its own and redeems the code.</summary>
    internal async Task<JsonElement> LogInAsync(
        string client = "app", string scope = "openid profile email offline_access home", string user = User, string redirect = Redirect)
    {
        using var browser = new Browser(Http.BaseAddress!);
        var (address, verifier) = AuthorizeAddress(client, scope, redirect);
        var end = await browser.LogInAsync(address, user, Password);
        return await RedeemAsync(end, verifier, client, redirect);
    }

    internal Task<JsonElement> RedeemAsync(Uri end, string verifier, string client = "app", string redirect = Redirect) => TokenAsync(
        "authorization_code", ("client_id", client), ("code", end.Parameter("code")), ("redirect_uri", redirect), ("code_verifier", verifier));

    internal static (string Address, string Verifier) AuthorizeAddress(
        string client = "app", string scope = "openid offline_access", string redirect = Redirect, string more = "")
    {
        var verifier = Base64UrlEncoder.Encode(RandomNumberGenerator.GetBytes(32));
        var challenge = Base64UrlEncoder.Encode(SHA256.HashData(Encoding.ASCII.GetBytes(verifier)));
        return ($"/identity/connect/authorize?client_id={client}&response_type=code&scope={Uri.EscapeDataString(scope)}&state=s%3C1"
            + $"&redirect_uri={Uri.EscapeDataString(redirect)}&code_challenge={challenge}&code_challenge_method=S256{more}", verifier);
    }

    internal Task<JsonElement> RefreshAsync(string token, HttpClient? http = null) =>
        TokenAsync(http ?? Http, "refresh_token", ("client_id", "app"), ("refresh_token", token));

    internal Task<JsonElement> TokenAsync(string grant, params (string Key, string Value)[] fields) => TokenAsync(Http, grant, fields);

    internal static async Task<JsonElement> TokenAsync(HttpClient http, string grant, params (string Key, string Value)[] fields)
    {
        using var response = await PostAsync(http, "connect/token", [("grant_type", grant), .. fields]);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.True(response.IsSuccessStatusCode != answer.TryGetProperty("error", out _), $"{response.StatusCode} {answer}");
        return answer;
    }

    internal async Task<JsonElement> IntrospectAsync(string token, string client = "mobile-integration")
    {
        using var response = await PostAsync(Http, "connect/introspect", ("client_id", client), ("client_secret", Secret), ("token", token));
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    internal static async Task<HttpResponseMessage> PostAsync(HttpClient http, string path, params (string Key, string Value)[] fields)
    {
        using var form = new FormUrlEncodedContent(fields.Select(field => KeyValuePair.Create(field.Key, field.Value)));
        return await http.PostAsync($"/identity/{path}", form);
    }

    private (string Key, string Value)[] Settings() =>
    [
        ("Run", "identity"),
        ("ConnectionStrings:mobiledb", Database),
        ("Identity:Issuer", Issuer),
        ("Identity:Clients:app:Name", "Shop <b>app</b>"),
        ("Identity:Clients:app:RedirectUris:0", "http://127.0.0.1/callback"),
        ("Identity:Clients:app:RedirectUris:1", "com.example.shop:/callback"),
        ("Identity:Clients:app:RedirectUris:2", "https://app.example.com/callback"),
        ("Identity:Clients:app:RedirectUris:3", "http://[::1]/callback"),
        ("Identity:Clients:app:Scopes:0", "home"),
        ("Identity:Clients:app:Scopes:1", "profile"),
        ("Identity:Clients:app:Scopes:2", "email"),
        ("Identity:Clients:app:Device", "true"),
        ("Identity:Clients:own-app:RedirectUris:0", "https://shop.example.com/callback"),
        ("Identity:Clients:own-app:Trusted", "true"),
        ("Identity:Clients:back-office:Secret", Secret),
        ("Identity:Clients:back-office:Scopes:0", "users"),
        ("Identity:Clients:back-office:Scopes:1", "home"),
        ("Identity:Clients:mobile-integration:Secret", Secret),
    ];
}

internal static class IdentityAnswers
{
    public static string Text(this JsonElement answer, string name) =>
        answer.TryGetProperty(name, out var value) ? value.GetString()! : throw new InvalidOperationException($"No {name} in {answer}");

    public static string Parameter(this Uri address, string name)
    {
        var query = System.Web.HttpUtility.ParseQueryString(address.Query);
        return query[name] ?? throw new InvalidOperationException($"No {name} in {address}");
    }

    /// <summary>Header or claims of a token, unverified.</summary>
    public static JsonElement Part(this string token, int part) => JsonSerializer.Deserialize<JsonElement>(Base64UrlEncoder.DecodeBytes(token.Split('.')[part]));
}
