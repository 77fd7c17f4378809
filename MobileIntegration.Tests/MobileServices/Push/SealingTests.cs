using System.Buffers.Text;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Dapper;
using Microsoft.Extensions.Logging;
using MobileServices.Push;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Where an app's credentials are not: in the database as they are, in answers, in the log.</summary>
public sealed class SealingTests : IAsyncLifetime
{
    private const string Secret = "a secret of push of more than thirty-two characters";

    private readonly PushService _service = new()
    {
        More = [("Keys:Secret", Secret), ("Logging:LogLevel:Default", "Trace"), ("Logging:LogLevel:Microsoft.AspNetCore", "Trace"), ("Logging:LogLevel:Npgsql", "Trace")],
    };

    private readonly Dictionary<string, byte[]> _scalars = [];
    private LogLines _log = null!;

    public async Task InitializeAsync()
    {
        await _service.InitializeAsync();
        _log = LogLines.Of(_service.One);
    }

    public Task DisposeAsync() => _service.DisposeAsync();

    [Fact]
    public async Task A_credential_can_be_read_neither_in_a_dump_nor_in_an_answer_nor_in_the_log_and_sends_all_the_same()
    {
        var app = _service.NewApp();
        List<string> answers = [];
        foreach (var (network, credential) in Credentials())
        {
            using var saved = await _service.Http.PutAsJsonAsync($"/push/apps/{app}/networks/{network}", credential);
            Assert.Equal(HttpStatusCode.OK, saved.StatusCode);
            answers.Add(await saved.Content.ReadAsStringAsync());
        }
        foreach (var network in _scalars.Keys)
        {
            await _service.DeviceAsync(app, network);
        }
        var message = await SendAsync(app);
        Assert.Equal(3, (await _service.CompletedAsync(message))["accepted"]);
        using var ada = _service.ClientOf("ada");
        answers.Add(await ada.GetStringAsync($"/push/apps/{app}/vapid"));
        answers.Add(await _service.Http.GetStringAsync($"/push/apps/{app}/networks"));
        answers.Add(await _service.Http.GetStringAsync($"/push/messages/{message}/deliveries"));
        using (var refused = await _service.Http.PutAsJsonAsync($"/push/apps/{app}/networks/apns", new { keyId = "x", privateKey = Pem(_scalars["apns"]) }))
        {
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
            answers.Add(await refused.Content.ReadAsStringAsync());
        }

        var dump = await DumpAsync(_service.Database);
        Assert.Contains(app, dump, StringComparison.Ordinal);
        Assert.Contains(_log.All, line => line.Level is LogLevel.Debug or LogLevel.Trace);
        var (answered, logged) = (Flat(string.Join(' ', answers)), Flat(string.Join(' ', _log.All.Select(line => line.Text))));
        foreach (var (network, scalar) in _scalars)
        {
            Assert.All(Shapes(scalar), shape =>
            {
                Assert.False(dump.Contains(shape, StringComparison.OrdinalIgnoreCase), $"The secret of {network} is in the database.");
                Assert.False(answered.Contains(shape, StringComparison.OrdinalIgnoreCase), $"The secret of {network} is in an answer.");
                Assert.False(logged.Contains(shape, StringComparison.OrdinalIgnoreCase), $"The secret of {network} is in the log.");
            });
        }
    }

    /// <summary>What the test above would find: without it nothing found would say nothing.</summary>
    [Fact]
    public async Task Without_a_secret_a_dump_has_the_keys_which_the_search_finds_as_it_does_in_what_was_sent()
    {
        var open = new PushService();
        await open.InitializeAsync();
        try
        {
            var app = open.NewApp();
            foreach (var (network, credential) in Credentials())
            {
                Assert.Contains(Shapes(_scalars[network]), shape => Flat(JsonSerializer.Serialize(credential)).Contains(shape, StringComparison.OrdinalIgnoreCase));
                await open.PutAsync($"/push/apps/{app}/networks/{network}", credential);
            }

            var dump = await DumpAsync(open.Database);

            Assert.All(_scalars.Values, scalar => Assert.Contains(Shapes(scalar), shape => dump.Contains(shape, StringComparison.OrdinalIgnoreCase)));
        }
        finally
        {
            await open.DisposeAsync();
        }
    }

    [Fact]
    public async Task Another_replica_with_the_secret_sends_and_one_without_it_says_so_and_removes_nothing()
    {
        var app = _service.NewApp();
        foreach (var (network, credential) in Credentials())
        {
            await _service.PutAsync($"/push/apps/{app}/networks/{network}", credential);
        }
        foreach (var network in _scalars.Keys)
        {
            await _service.DeviceAsync(app, network);
        }
        await _service.One.DisposeAsync();

        Guid message;
        foreach (var secret in (string?[])[null, "another secret of more than thirty-two characters"])
        {
            await using var blind = Start(secret);
            var log = LogLines.Of(blind);
            using var answer = await blind.Http.PostAsJsonAsync("/push/messages", new { app, audience = "all", content = new { title = "Hello" } });
            Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
            message = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid();
            await Eventually.TrueAsync(async () => await _service.QueryAsync<long>(
                "select count(*) from push.ledger where message_id = @message and decisions::text like '%the credential cannot be read%'", ("message", message)) is 3, PushService.Patience);
            Assert.Contains(log.All, line => line.Level is LogLevel.Error && line.Text.Contains("Keys:Secret is not what it was sealed with", StringComparison.Ordinal));
            using var saved = await blind.Http.PutAsJsonAsync($"/push/apps/{app}/networks/apns", PushService.ApnsCredential());
            Assert.Equal(HttpStatusCode.ServiceUnavailable, saved.StatusCode);
            Assert.Contains("Keys:Secret", (await saved.Content.ReadFromJsonAsync<JsonElement>()).Text("detail"), StringComparison.Ordinal);
            Assert.Equal((3L, 3L), (await CountAsync("credential"), await CountAsync("registration")));
            Assert.Empty(_service.Apns.Journal);
        }

        await using var replica = Start(Secret);
        await Eventually.TrueAsync(async () => await _service.QueryAsync<long>("select count(*) from push.ledger where state = 'accepted'") is 6, PushService.Patience);
        Assert.Equal((3L, 3L), (await CountAsync("credential"), await CountAsync("registration")));

        // The fixture's ends with it.
        TestService<PushOptions> Start(string? secret) =>
            new([.. _service.Settings().Where(setting => setting.Key is not "Keys:Secret"), .. secret is null ? Array.Empty<(string, string)>() : [("Keys:Secret", secret)]]);

        Task<long> CountAsync(string table) => _service.QueryAsync<long>($"select count(*) from push.{table} where app_id = @app", ("app", app));
    }

    private Task<Guid> SendAsync(string app) => _service.SendAsync(new { app, audience = "all", content = new { title = "Hello" } });

    /// <summary>One for each network; what must not be seen of it is kept.</summary>
    private IEnumerable<(string Network, object Credential)> Credentials()
    {
        using var vapid = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var apns = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var google = RSA.Create(2048);
        _scalars["webpush"] = vapid.ExportParameters(true).D!;
        _scalars["apns"] = apns.ExportParameters(true).D!;
        // The first of its factors is as good as all of it.
        _scalars["fcm"] = google.ExportParameters(true).P![..32];
        return
        [
            ("webpush", new { subject = "mailto:push@example.com", privateKey = Base64Url.EncodeToString(_scalars["webpush"]) }),
            ("apns", new { keyId = "ABCDE12345", teamId = "TEAM123456", topic = "com.example.shop", privateKey = apns.ExportPkcs8PrivateKeyPem() }),
            ("fcm", new { serviceAccount = new { project_id = "shop", private_key_id = "k1", private_key = google.ExportPkcs8PrivateKeyPem(), client_email = "push@shop.example" } }),
        ];
    }

    private static string Pem(byte[] scalar)
    {
        using var key = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, D = scalar });
        return key.ExportPkcs8PrivateKeyPem();
    }

    /// <summary>As a dump shows bytes, and as base64 has it wherever it begins: all but its ends, which depend on what stands before and after.</summary>
    private static IEnumerable<string> Shapes(byte[] secret)
    {
        yield return Convert.ToHexString(secret);
        for (var before = 0; before < 3; before++)
        {
            var text = Convert.ToBase64String([.. new byte[before], .. secret])[4..^4];
            yield return text;
            yield return text.Replace('+', '-').Replace('/', '_');
        }
    }

    /// <summary>Without the ends of lines that PEM has within a key, and JSON writes in its own way.</summary>
    private static string Flat(string text) => Regex.Replace(text.Replace("\\u002B", "+", StringComparison.Ordinal), @"\\+[nr]|\s", "");

    /// <summary>All rows of all tables of the schema, as text.</summary>
    private static async Task<string> DumpAsync(string database)
    {
        await using var connection = new NpgsqlConnection(database);
        var text = new StringBuilder();
        foreach (var table in await connection.QueryAsync<string>("select tablename from pg_tables where schemaname = 'push'"))
        {
            foreach (var row in await connection.QueryAsync<string>($"select t::text from push.\"{table}\" t"))
            {
                text.AppendLine(row);
            }
        }
        return text.ToString();
    }
}
