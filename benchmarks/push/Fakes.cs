using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Core;

/// <summary>Networks that take everything at once.</summary>
internal static class Fakes
{
    /// <summary>APNs and FCM over HTTP/2 without TLS, in a process of its own; the token endpoint of FCM over HTTP/1.1.</summary>
    public static async Task ServeAsync(int port, int tokenPort)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Listen(IPAddress.Loopback, tokenPort, listen => listen.Protocols = HttpProtocols.Http1);
        });
        var fake = builder.Build();
        var accepted = "{\"name\":\"projects/bench/messages/0:1500415314455276%31bd1c9631bd1c96\"}"u8.ToArray();
        fake.Run(async http =>
        {
            await http.Request.Body.CopyToAsync(Stream.Null);
            if (http.Request.Path.StartsWithSegments("/3", StringComparison.Ordinal))
            {
                http.Response.Headers["apns-id"] = http.Request.Headers["apns-id"];
                return;
            }
            http.Response.ContentType = "application/json; charset=UTF-8";
            if (http.Request.Path == "/token")
            {
                await http.Response.WriteAsync($$"""{"access_token":"{{Bearer}}","expires_in":3599,"token_type":"Bearer"}""");
                return;
            }
            http.Response.ContentLength = accepted.Length;
            await http.Response.Body.WriteAsync(accepted);
        });
        await fake.RunAsync();
    }

    /// <summary>As long as Google's.</summary>
    public static string Bearer { get; } = $"ya29.{new string('c', 200)}";

    /// <summary>
    /// nginx over TLS: APNs (HTTP/2) and a push service (also HTTP/1.1). It answers when it has read the body, which mirror does; empty_gif has a 405 for a POST, and that becomes
    /// the answer.
    /// </summary>
    public static async Task<Process> StartTlsAsync(Children children, string folder, int port)
    {
        var file = Path.Combine(folder, "nginx.conf");
        await File.WriteAllTextAsync(file,
            $$"""
            daemon off;
            worker_processes 1;
            pid {{folder}}/nginx.pid;
            error_log {{folder}}/nginx.log;
            events { worker_connections 4096; }
            http {
              access_log off;
              keepalive_requests 100000000; keepalive_time 24h;
              http2_max_concurrent_streams 1000;
              client_body_temp_path {{folder}}/nginx-body; proxy_temp_path {{folder}}/nginx-proxy;
              fastcgi_temp_path {{folder}}/nginx-fastcgi; uwsgi_temp_path {{folder}}/nginx-uwsgi; scgi_temp_path {{folder}}/nginx-scgi;
              server {
                listen 127.0.0.1:{{port}} ssl http2;
                ssl_certificate {{folder}}/fake.pem; ssl_certificate_key {{folder}}/fake.key;
                location /3/ { mirror /read; empty_gif; error_page 405 =200 @apns; }
                location @apns { add_header apns-id $http_apns_id; return 200; }
                location /push/ { mirror /read; empty_gif; error_page 405 =201 @push; }
                location @push { add_header Location /m/1 always; return 201; }
                location = /read { internal; return 204; }
              }
            }
            """);
        return await children.StartAsync(port, "nginx", ["-p", folder, "-e", $"{folder}/nginx.log", "-c", file]);
    }

    /// <summary>For localhost: fake.pem, fake.key and ca.pem, whom to trust.</summary>
    /// <returns>What makes a process trust it.</returns>
    public static async Task<IReadOnlyDictionary<string, string>> WriteCertificatesAsync(string folder)
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
        using var certificate = request.Create(ca, DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1), RandomNumberGenerator.GetBytes(8));
        var caFile = Path.Combine(folder, "ca.pem");
        await File.WriteAllTextAsync(caFile, ca.ExportCertificatePem());
        await File.WriteAllTextAsync(Path.Combine(folder, "fake.pem"), certificate.ExportCertificatePem());
        await File.WriteAllTextAsync(Path.Combine(folder, "fake.key"), key.ExportPkcs8PrivateKeyPem());
        return new Dictionary<string, string> { ["SSL_CERT_FILE"] = caFile, ["NODE_EXTRA_CA_CERTS"] = caFile };
    }
}
