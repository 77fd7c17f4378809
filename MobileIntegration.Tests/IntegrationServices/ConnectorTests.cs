using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.ServiceModel;
using System.Text;
using IntegrationServices.Connectors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>How connectors show who they are, how many calls they allow, and what they make of answers that are none.</summary>
public sealed class ConnectorTests : IAsyncLifetime
{
    private readonly List<WebApplication> _apps = [];
    private int _tokens;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var app in _apps)
        {
            await app.DisposeAsync();
        }
    }

    [Fact]
    public async Task An_api_key_or_a_name_and_password_goes_with_every_call()
    {
        var address = await SystemAsync(http => Results.Ok(new Answer($"{http.Request.Headers["X-Shop-Key"]}|{http.Request.Headers.Authorization}")));
        Assert.Equal("secret key|", await AskAsync(await RestAsync(address, "ApiKey=secret key", "ApiKeyHeader=X-Shop-Key")));
        Assert.Equal($"|Basic {Convert.ToBase64String("ada:pass:wörd"u8)}", await AskAsync(await RestAsync(address, "UserName=ada", "Password=pass:wörd")));
        Assert.Equal("|", await AskAsync(await RestAsync(address)));
    }

    [Fact]
    public async Task An_access_token_is_fetched_once_for_all_calls_and_anew_when_it_is_withdrawn()
    {
        var withdrawn = "";
        var address = await SystemAsync(http =>
            http.Request.Headers.Authorization.ToString() is ['B', ..] token && token != withdrawn ? Results.Ok(new Answer(token)) : Results.Unauthorized());
        var connector = await RestAsync(address, $"TokenAddress={address}token", "ClientId=a:b", "ClientSecret=c%d", "Scope=read");
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => AskAsync(connector)));
        Assert.Equal(["Bearer token-1"], answers.Distinct());

        withdrawn = "Bearer token-1";
        Assert.Equal("Bearer token-2", await AskAsync(connector));
        Assert.Equal(2, _tokens);
        withdrawn = "Bearer token-2";
        var refused = await RestAsync(address, $"TokenAddress={address}token", "ClientId=nobody", "ClientSecret=c", "Scope=read");
        Assert.Contains("no access token (401)", (await Assert.ThrowsAsync<BackendException>(() => AskAsync(refused))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_SOAP_call_whose_access_token_is_withdrawn_is_sent_again_with_a_new_one()
    {
        var address = await SystemAsync(http => http.Request.Headers.Authorization == "Bearer token-2"
            ? Results.Text("<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><EchoResponse xmlns=\"urn:echo\"><EchoResult>yes</EchoResult></EchoResponse></s:Body></s:Envelope>", "text/xml")
            : Results.Unauthorized());
        var connector = await SoapAsync(address, isSoap12: false, $"TokenAddress={address}token", "ClientId=a:b", "ClientSecret=c%d", "Scope=read");
        Assert.Equal("yes", await connector.CallAsync(service => service.EchoAsync("yes"), default));
    }

    [Fact]
    public async Task What_may_be_repeated_is_tried_again_unless_the_system_says_when_to_come_back()
    {
        var (calls, later) = (0, false);
        var address = await SystemAsync(http =>
        {
            var call = Interlocked.Increment(ref calls);
            if (later)
            {
                http.Response.Headers.RetryAfter = "17";
            }
            return call < 3 || later ? Results.StatusCode(503) : Results.Ok(new Answer("third"));
        });
        var connector = await RestAsync(address, "TimeoutSeconds=60");
        Assert.Equal(("third", 3), (await AskAsync(connector), calls));

        later = true;
        var refused = await Assert.ThrowsAsync<BackendException>(() => AskAsync(connector));
        Assert.Equal((503, TimeSpan.FromSeconds(17), 4), (refused.Status, refused.RetryAfter, calls));
    }

    [Fact]
    public async Task An_OData_list_is_read_to_its_end_or_as_far_as_is_wanted_whatever_host_its_links_name()
    {
        var address = await SystemAsync(http =>
        {
            var page = http.Request.Query["page"].ToString()[0] - '0';
            return Results.Json(new Dictionary<string, object?>
            {
                ["value"] = new[] { new Answer($"{page}") },
                ["@odata.nextLink"] = page < 4 ? $"http://inside.example/thing?page={page + 1}" : null,
            });
        });
        var connector = await RestAsync(address);
        Assert.Equal(["1", "2", "3", "4"], (await connector.GetODataAsync<Answer>("/thing?page=1", 100, default)).Select(answer => answer.Text));
        Assert.Equal(["1", "2"], (await connector.GetODataAsync<Answer>("/thing?page=1", 2, default)).Select(answer => answer.Text));
    }

    [Fact]
    public async Task A_change_is_sent_once_and_a_system_that_only_fails_is_left_alone_for_a_moment()
    {
        var calls = 0;
        var address = await SystemAsync(_ =>
        {
            Interlocked.Increment(ref calls);
            return Results.StatusCode(500);
        });
        var connector = await RestAsync(address, "TimeoutSeconds=60");
        Assert.Equal((502, 1), ((await ChangeAsync()).Status, calls));

        BackendException failure;
        do
        {
            failure = await ChangeAsync();
        }
        while (calls < 1000 && failure.Status is 502);
        var reached = calls;
        Assert.Contains("left alone for a moment", failure.Message, StringComparison.Ordinal);
        Assert.Equal((503, reached), ((await ChangeAsync()).Status, calls));

        Task<BackendException> ChangeAsync() =>
            Assert.ThrowsAsync<BackendException>(() => connector.PatchAsync("/thing", new { }, new("\"1\""), default));
    }

    [Fact]
    public async Task With_mutual_TLS_the_system_knows_us_by_our_certificate()
    {
        var folder = Directory.CreateTempSubdirectory("tls-").FullName;
        try
        {
            using var authority = Certificate("CN=authority", null);
            using var server = Certificate("CN=127.0.0.1", authority);
            using var client = Certificate("CN=integration", authority);
            await File.WriteAllTextAsync(Path.Combine(folder, "authority.pem"), authority.ExportCertificatePem());
            await File.WriteAllTextAsync(Path.Combine(folder, "client.pem"), client.ExportCertificatePem());
            await File.WriteAllTextAsync(Path.Combine(folder, "client.key"), client.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
            var address = await SystemAsync(http => Results.Ok(new Answer(http.Connection.ClientCertificate?.Subject ?? "nobody")), https =>
            {
                https.ServerCertificate = X509CertificateLoader.LoadPkcs12(server.Export(X509ContentType.Pkcs12), null);
                https.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
                https.ClientCertificateValidation = (given, _, _) => given.Issuer == "CN=authority";
            });
            string[] trust = [$"CertificateAuthority={folder}/authority.pem"];
            Assert.Equal("CN=integration", await AskAsync(await RestAsync(address, [.. trust, $"ClientCertificate={folder}/client.pem", $"ClientKey={folder}/client.key"])));
            Assert.Equal("nobody", await AskAsync(await RestAsync(address, trust)));
            Assert.Equal(503, (await Assert.ThrowsAsync<BackendException>(async () => await AskAsync(await RestAsync(address)))).Status);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task More_calls_than_the_bulkhead_holds_fail_at_once_and_the_others_come_through()
    {
        var release = new TaskCompletionSource();
        var inside = 0;
        var address = await SystemAsync(async _ =>
        {
            Interlocked.Increment(ref inside);
            await release.Task;
            return Results.Ok(new Answer("late"));
        });
        var connector = await RestAsync(address, "Concurrency=2", "TimeoutSeconds=60");
        var calls = Enumerable.Range(0, 7).Select(_ => AskAsync(connector)).ToList();
        await Eventually.TrueAsync(() => calls.Count(call => call.IsFaulted) is 3, TimeSpan.FromSeconds(30));
        Assert.Equal(2, inside);
        release.SetResult();
        var refused = calls.Where(call => call.IsFaulted).Select(call => (BackendException)call.Exception!.InnerException!);
        Assert.All(refused, one => Assert.Equal((503, true), (one.Status, one.Message.Contains("more calls under way", StringComparison.Ordinal))));
        Assert.All(await Task.WhenAll(calls.Where(call => !call.IsFaulted)), answer => Assert.Equal("late", answer));
    }

    [Theory]
    [InlineData(false, "text/xml", "http://schemas.xmlsoap.org/soap/envelope/")]
    [InlineData(true, "application/soap+xml", "http://www.w3.org/2003/05/soap-envelope")]
    public async Task Both_versions_of_SOAP_are_spoken_and_faults_are_faults(bool isSoap12, string media, string envelope)
    {
        var address = await SystemAsync(async http =>
        {
            using var reader = new StreamReader(http.Request.Body);
            var request = await reader.ReadToEndAsync();
            var good = request.Contains(envelope, StringComparison.Ordinal) && http.Request.ContentType!.StartsWith(media, StringComparison.Ordinal);
            var fault = isSoap12
                ? "<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code><s:Reason><s:Text xml:lang=\"en\">no</s:Text></s:Reason></s:Fault>"
                : "<s:Fault><faultcode>s:Client</faultcode><faultstring>no</faultstring></s:Fault>";
            var body = good && request.Contains("yes", StringComparison.Ordinal) ? "<EchoResponse xmlns=\"urn:echo\"><EchoResult>yes</EchoResult></EchoResponse>" : fault;
            return Results.Text($"<s:Envelope xmlns:s=\"{envelope}\"><s:Body>{body}</s:Body></s:Envelope>", media, Encoding.UTF8, body == fault ? 500 : 200);
        });
        var connector = await SoapAsync(address, isSoap12);
        Assert.Equal("yes", await connector.CallAsync(service => service.EchoAsync("yes"), default));
        Assert.Equal("no", (await Assert.ThrowsAsync<FaultException>(() => connector.CallAsync(service => service.EchoAsync("other"), default))).Message);
    }

    [Theory]
    [InlineData("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>", "&e;")]
    [InlineData("<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]>", "&c;")]
    [InlineData("", "&e;")]
    [InlineData("", "<not closed>")]
    public async Task Entities_and_broken_XML_in_an_answer_are_no_answer(string start, string content)
    {
        var address = await SystemAsync(_ => Results.Text(
            $"<?xml version=\"1.0\"?>{start}<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><EchoResponse xmlns=\"urn:echo\"><EchoResult>{content}</EchoResult></EchoResponse></s:Body></s:Envelope>",
            "text/xml"));
        var connector = await SoapAsync(address, isSoap12: false);
        Assert.Equal(502, (await Assert.ThrowsAsync<BackendException>(() => connector.CallAsync(service => service.EchoAsync("yes"), default))).Status);
    }

    [ServiceContract(Namespace = "urn:echo")]
    public interface IEcho
    {
        [OperationContract(Action = "urn:echo/Echo", ReplyAction = "*")]
        Task<string> EchoAsync(string text);
    }

    internal sealed record Answer(string Text);

    private static async Task<string?> AskAsync(RestConnector connector) => (await connector.GetAsync<Answer>("/thing", default))?.Text;

    private async Task<RestConnector> RestAsync(Uri address, params string[] settings)
    {
        var (app, _) = await TestServices.StartAsync(builder => builder.AddRestConnector("thing"), _ => { }, Arguments(address, settings));
        _apps.Add(app);
        return app.Services.GetRequiredKeyedService<RestConnector>("thing");
    }

    private async Task<SoapConnector<IEcho>> SoapAsync(Uri address, bool isSoap12, params string[] settings)
    {
        var (app, _) = await TestServices.StartAsync(builder => builder.AddSoapConnector<IEcho>("thing", "/thing", isSoap12), _ => { }, Arguments(address, settings));
        _apps.Add(app);
        return app.Services.GetRequiredService<SoapConnector<IEcho>>();
    }

    private static string[] Arguments(Uri address, params string[] settings) =>
        [$"--Backends:thing:Address={address}", .. settings.Select(setting => $"--Backends:thing:{setting}")];

    private Task<Uri> SystemAsync(Func<HttpContext, IResult> answer, Action<HttpsConnectionAdapterOptions>? https = null) =>
        SystemAsync(http => Task.FromResult(answer(http)), https);

    private async Task<Uri> SystemAsync(Func<HttpContext, Task<IResult>> answer, Action<HttpsConnectionAdapterOptions>? https = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            if (https is not null)
            {
                listen.UseHttps(https);
            }
        }));
        var app = builder.Build();
        app.Map("/thing", answer);
        app.MapPost("/token", async (HttpContext http) =>
        {
            var form = await http.Request.ReadFormAsync();
            return http.Request.Headers.Authorization == $"Basic {Convert.ToBase64String("a%3Ab:c%25d"u8)}" && form["grant_type"] == "client_credentials" && form["scope"] == "read"
                ? Results.Ok(new { access_token = $"token-{Interlocked.Increment(ref _tokens)}", expires_in = 600 })
                : Results.Unauthorized();
        });
        await app.StartAsync();
        _apps.Add(app);
        return TestServices.AddressOf(app.Services);
    }

    private static X509Certificate2 Certificate(string name, X509Certificate2? authority)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        var (from, until) = (DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        if (authority is null)
        {
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
            return request.CreateSelfSigned(from.AddDays(-1), until.AddDays(1));
        }
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var issued = request.Create(authority, from, until, RandomNumberGenerator.GetBytes(8));
        return issued.CopyWithPrivateKey(key);
    }
}
