using System.Security.Cryptography;

namespace GatewayBenchmark;

/// <summary>Other people's proxies before the same upstream, each with two workers or threads.</summary>
internal static class Peers
{
    /// <summary>Forwards and does nothing else.</summary>
    public static async Task<Proxy> NginxAsync(string folder, Proxy upstream)
    {
        var port = Proxy.FreePort();
        var file = Path.Combine(folder, "nginx.conf");
        await File.WriteAllTextAsync(file,
            $$"""
            daemon off;
            worker_processes 2;
            pid {{folder}}/nginx.pid;
            error_log {{folder}}/nginx.log;
            events { worker_connections 4096; }
            http {
              access_log off;
              keepalive_requests 100000000;
              client_body_temp_path {{folder}}/nginx-body; proxy_temp_path {{folder}}/nginx-proxy;
              fastcgi_temp_path {{folder}}/nginx-fastcgi; uwsgi_temp_path {{folder}}/nginx-uwsgi; scgi_temp_path {{folder}}/nginx-scgi;
              upstream service { server 127.0.0.1:{{upstream.Port}}; keepalive 64; keepalive_requests 100000000; }
              server {
                listen 127.0.0.1:{{port}};
                location / { proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; }
              }
            }
            """);
        return await Proxy.StartAsync("nginx, forwards only", port, "nginx", ["-p", folder, "-e", $"{folder}/nginx.log", "-c", file]);
    }

    /// <summary>Checks the signature, algorithm and issuer of each token, and counts the calls of each user in a stick table; neither expiry nor audience.</summary>
    public static async Task<Proxy> HaproxyAsync(string folder, Proxy upstream, string issuer, ECDsa key)
    {
        var port = Proxy.FreePort();
        var file = Path.Combine(folder, "haproxy.cfg");
        var pem = Path.Combine(folder, "issuer.pem");
        await File.WriteAllTextAsync(pem, key.ExportSubjectPublicKeyInfoPem());
        await File.WriteAllTextAsync(file,
            $$"""
            global
              nbthread 2
              maxconn 4096
            defaults
              mode http
              timeout connect 5s
              timeout client 60s
              timeout server 60s
            frontend public
              bind 127.0.0.1:{{port}}
              http-request set-var(txn.token) http_auth_bearer
              http-request deny deny_status 401 unless { var(txn.token),jwt_header_query('$.alg') -m str ES256 }
              http-request deny deny_status 401 unless { var(txn.token),jwt_payload_query('$.iss') -m str {{issuer}} }
              http-request deny deny_status 401 unless { var(txn.token),jwt_verify("ES256","{{pem}}") -m int 1 }
              http-request set-var(txn.user) var(txn.token),jwt_payload_query('$.sub')
              http-request track-sc0 var(txn.user) table users
              http-request deny deny_status 429 if { sc_http_req_rate(0) gt 1000000 }
              default_backend service
            backend users
              stick-table type string len 64 size 100k expire 60s store http_req_rate(60s)
            backend service
              server one 127.0.0.1:{{upstream.Port}}

            """);
        return await Proxy.StartAsync(Comparison.Haproxy, port, "haproxy", ["-db", "-f", file]);
    }
}
