using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using MobileServices.Push;
using MobileServices.Push.Messages;
using MobileServices.Push.Networks;
using MobileServices.Push.Networks.Apns;
using MobileServices.Push.Networks.WebPush;

/// <summary>The networks' senders alone, without a queue, beside the npm packages @parse/node-apn and web-push: over TLS, to the same fake, in turns.</summary>
internal static class Senders
{
    // Before that: the runtime compiles what is used much anew, and counts in it for some ten seconds, which costs a fifth.
    private const int ApnsWarmup = 400_000;
    private const int ApnsMessages = 100_000;
    private const int WebPushWarmup = 20_000;
    private const int WebPushMessages = 6000;

    public static async Task CompareAsync(string folder, int rounds, Func<string, string[], IReadOnlyDictionary<string, string>, Process> start)
    {
        var port = Ports.Free();
        var (ca, pfx) = WriteCertificates(folder);
        var apnsKey = Path.Combine(folder, "apns.p8");
        using (var key = ECDsa.Create(ECCurve.NamedCurves.nistP256))
        {
            await File.WriteAllTextAsync(apnsKey, key.ExportPkcs8PrivateKeyPem());
        }
        var self = Environment.GetCommandLineArgs()[0];
        var trust = new Dictionary<string, string> { ["SSL_CERT_FILE"] = ca, ["NODE_EXTRA_CA_CERTS"] = ca };
        var script = Path.GetFullPath("benchmarks/push/peers.mjs");
        using var fake = start("dotnet", [self, "tls-fake", $"{port}", pfx], trust);
        try
        {
            await Ports.OpenAsync(port);
            Console.WriteLine("sender alone, TLS       ours/s     npm's/s   ratio");
            for (var round = 0; round < rounds; round++)
            {
                await LineAsync("apns / node-apn", start("dotnet", [self, "sender", "apns", $"{port}"], trust), () => start("node", [script, "apns", $"{port}", ca, apnsKey, $"{ApnsMessages}"], trust));
                await LineAsync("web push / web-push", start("dotnet", [self, "sender", "webpush", $"{port}"], trust), () => start("node", [script, "webpush", $"{port}", "", "", $"{WebPushMessages}"], trust));
            }
        }
        finally
        {
            fake.Kill(entireProcessTree: true);
            await fake.WaitForExitAsync();
        }
    }

    /// <summary>Answers as APNs and as a push service do, at once.</summary>
    public static async Task FakeAsync(int port, string pfx)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        using var certificate = X509CertificateLoader.LoadPkcs12FromFile(pfx, null);
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen =>
        {
            listen.Protocols = HttpProtocols.Http1AndHttp2;
            listen.UseHttps(certificate);
        }));
        var fake = builder.Build();
        fake.Run(async http =>
        {
            await http.Request.Body.CopyToAsync(Stream.Null);
            if (http.Request.Path.StartsWithSegments("/3", StringComparison.Ordinal))
            {
                http.Response.Headers["apns-id"] = http.Request.Headers["apns-id"];
                return;
            }
            http.Response.StatusCode = 201;
            http.Response.Headers.Location = "/m/1";
        });
        await fake.RunAsync();
    }

    /// <returns>Messages a second.</returns>
    public static async Task<double> OursAsync(string name, int port)
    {
        var options = Options.Create(new PushOptions { AllowPrivateEndpoints = true, ApnsAddress = $"https://localhost:{port}" });
        using var http = new PushHttp(options);
        INetwork network = name is "apns" ? new ApnsNetwork(http, options, TimeProvider.System) : new WebPushNetwork(http, options, TimeProvider.System);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var settings = name is "apns"
            ? new System.Text.Json.Nodes.JsonObject { ["keyId"] = "ABCDE12345", ["teamId"] = "TEAM123456", ["topic"] = "com.example.bench", ["sandbox"] = false }
            : new System.Text.Json.Nodes.JsonObject { ["subject"] = "mailto:bench@example.com" };
        var credential = network.Open(new(settings, key.ExportPkcs8PrivateKey()));
        using var browser = ECDiffieHellman.Create(ECCurve.NamedCurves.nistP256);
        var q = browser.ExportParameters(false).Q;
        byte[] p256dh = [4, .. q.X!, .. q.Y!];
        var auth = RandomNumberGenerator.GetBytes(16);
        var content = new PushContent { Title = "Hello", Body = "A message of an ordinary length, as shops send them." };
        var address = name is "apns" ? null : $"https://localhost:{port}/push/1";
        var count = name is "apns" ? ApnsMessages : WebPushMessages;
        await SendAsync(name is "apns" ? ApnsWarmup : WebPushWarmup);
        var began = Stopwatch.GetTimestamp();
        await SendAsync(count);
        return count / Stopwatch.GetElapsedTime(began).TotalSeconds;

        async Task SendAsync(int messages)
        {
            var next = 0;
            var id = Guid.CreateVersion7();
            await Task.WhenAll(Enumerable.Range(0, 50).Select(async _ =>
            {
                while (Interlocked.Increment(ref next) is var number && number <= messages)
                {
                    var outcome = await network.SendAsync(credential, new(
                        id, Guid.CreateVersion7(), address ?? number.ToString("x64", CultureInfo.InvariantCulture), p256dh, auth, content, false, "normal", null, null, 86400,
                        DateTimeOffset.UtcNow.AddDays(1), null), CancellationToken.None);
                    if (outcome.Class is not OutcomeClass.Accepted)
                    {
                        throw new InvalidOperationException($"{name}: {outcome.Class}, {outcome.Reason}");
                    }
                }
            }));
        }
    }

    private static async Task LineAsync(string what, Process first, Func<Process> second)
    {
        var ours = await ReadAsync(first);
        var theirs = await ReadAsync(second());
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-20}{ours,10:0}{theirs,12:0}{ours / theirs,8:0.0}"));
    }

    private static async Task<double> ReadAsync(Process process)
    {
        using (process)
        {
            var text = await process.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            return double.Parse(text, CultureInfo.InvariantCulture);
        }
    }

    private static (string Ca, string Pfx) WriteCertificates(string folder)
    {
        using var caKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var caRequest = new CertificateRequest("CN=benchmark", caKey, HashAlgorithmName.SHA256);
        caRequest.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var ca = caRequest.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(2));
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        using var bare = request.Create(ca, DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1), RandomNumberGenerator.GetBytes(8));
        using var certificate = bare.CopyWithPrivateKey(key);
        var (caFile, pfx) = (Path.Combine(folder, "ca.pem"), Path.Combine(folder, "fake.pfx"));
        File.WriteAllText(caFile, ca.ExportCertificatePem());
        File.WriteAllBytes(pfx, certificate.Export(X509ContentType.Pfx));
        return (caFile, pfx);
    }
}
