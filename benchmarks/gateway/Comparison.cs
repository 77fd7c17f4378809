using System.Security.Cryptography;
using System.Text;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using MobileIntegration.LocalHost;

namespace GatewayBenchmark;

/// <summary>The same requests through each proxy, in turn, in each round.</summary>
internal sealed class Comparison : IAsyncDisposable
{
    public const string Haproxy = "HAProxy, ES256 and stick table";
    private const string Yarp = "bare YARP";
    private const string Untraced = "gateway, no traces";
    private const string Traced = "gateway, every request traced";
    private const int Tokens = 10_000;
    private readonly List<Proxy> _proxies = [];
    private readonly List<IAsyncDisposable> _others = [];
    private readonly string _data = Directory.CreateTempSubdirectory("gateway-benchmark-").FullName;
    private List<string> _tokens = [];
    private string _script = "";
    private Dictionary<string, string> _settings = [];
    private Proxy _upstream = null!;

    public static async Task<Comparison> StartAsync()
    {
        var comparison = new Comparison();
        await comparison.BeginAsync();
        return comparison;
    }

    /// <param name="words">With any, only the proxies in whose names one of them stands are compared, beside bare YARP and HAProxy, and nothing else is measured.</param>
    public async Task RunAsync(int rounds, int seconds, int warmUp, string[] words)
    {
        if (words.Length > 0)
        {
            foreach (var left in _proxies.Where(proxy => proxy.Name is not (Yarp or Haproxy) && !Array.Exists(words, proxy.Name.Contains)).ToList())
            {
                _proxies.Remove(left);
                await left.DisposeAsync();
            }
        }
        if (_proxies.Count is 2 && words.Length > 0)
        {
            throw new ArgumentException($"No proxy has '{string.Join("' or '", words)}' in its name.");
        }
        Dictionary<Proxy, List<Measured>> measured = _proxies.ToDictionary(proxy => proxy, _ => new List<Measured>());
        for (var round = 0; round < rounds; round++)
        {
            foreach (var proxy in _proxies)
            {
                // Warm from the round before, but for what has cooled down meanwhile.
                await proxy.MeasureAsync(_script, round is 0 ? warmUp : Math.Min(warmUp, 2));
                measured[proxy].Add(await proxy.MeasureAsync(_script, seconds));
            }
        }
        var (bare, haproxy) = (Of(Yarp), Of(Haproxy));
        Console.WriteLine($"{Tokens} tokens in turn, 64 connections, {rounds} rounds of {seconds} s:");
        Console.WriteLine($"{"",-34} {"req/s",8} {"p50 ms",7} {"p99 ms",7} {"CPU us",7} {"PSS MB",7} {"failed",7} {"req/s : YARP",13} {"CPU : YARP",11} {"req/s : HAProxy",16}");
        foreach (var (proxy, all) in measured)
        {
            Console.WriteLine(
                $"{proxy.Name,-34} {Median(all, one => one.Rate),8:0} {Median(all, one => one.P50),7:0.00} {Median(all, one => one.P99),7:0.0} {Median(all, one => one.ProcessorMicroseconds),7:0.0} "
                + $"{proxy.MemoryMegabytes,7:0} {all.Sum(one => one.Failed),7:0} {Ratio(all, bare, one => one.Rate),13:0.00} {Ratio(all, bare, one => one.ProcessorMicroseconds),11:0.00} "
                + $"{Ratio(all, haproxy, one => one.Rate),16:0.00}");
        }
        Console.WriteLine("HAProxy checks every signature anew, but neither expiry nor audience, has no app gate and counts in its own memory; nginx forwards only.");
        if (words.Length > 0)
        {
            return;
        }

        Console.WriteLine("at 1,000 requests/s:");
        var direct = await FixedRate.MedianAsync(_upstream, _tokens, seconds);
        Dictionary<string, double> added = [];
        foreach (var proxy in _proxies)
        {
            var through = await FixedRate.MedianAsync(proxy, _tokens, seconds);
            added[proxy.Name] = through - direct;
            Console.WriteLine($"{proxy.Name,-34} p50 {through:0.00} ms, {through - direct:+0.00;-0.00} over direct ({direct:0.00})");
        }

        var tokens = await MemoryAsync(warmUp);
        Console.WriteLine("asked for:");
        Tell("requests/s without traces : bare YARP", Ratio(Of(Untraced), bare, one => one.Rate), 0.80, atLeast: true);
        Tell("requests/s with every request traced : bare YARP", Ratio(Of(Traced), bare, one => one.Rate), 0.65, atLeast: true);
        Tell("requests/s without traces : HAProxy", Ratio(Of(Untraced), haproxy, one => one.Rate), 1.15, atLeast: true);
        Tell("ms added to p50 at 1,000 requests/s without traces", added[Untraced], 0.8, atLeast: false);
        Tell("MB for 10,000 tokens in the cache", tokens, 30, atLeast: false);

        List<Measured> Of(string name) => measured.Single(one => one.Key.Name == name).Value;
    }

    /// <returns>MB of the token cache for its 10,000 tokens.</returns>
    private async Task<double> MemoryAsync(int warmUp)
    {
        foreach (var proxy in _proxies.Where(proxy => proxy.Name != Yarp).ToList())
        {
            _proxies.Remove(proxy);
            await proxy.DisposeAsync();
        }
        Console.WriteLine("memory after a full collection:");
        var one = await WriteScriptAsync(1);
        List<double> kept = [];
        foreach (var cached in (string[])["20000", "0"])
        {
            await using var gateway = await GatewayAsync("gateway", ("OTEL_TRACES_SAMPLER", "always_off"), ("Authentication__CachedTokens", cached), ("Limits__RequestSeconds", "600"));
            kept.Add(await Memory.OfTokensAsync(gateway, one, _script, Tokens, warmUp));
            Console.WriteLine($"{(cached is "0" ? "gateway, no token cache" : "gateway"),-34} {kept[^1]:0.0} MB for {Tokens} callers with a token each");
            if (cached is not "0")
            {
                await TellOpenAsync(gateway);
            }
        }
        await TellOpenAsync(_proxies.Single(proxy => proxy.Name == Yarp));
        return kept[0] - kept[1];

        async Task TellOpenAsync(Proxy proxy)
        {
            var (open, megabytes) = await Memory.OfOpenCallsAsync(proxy, _upstream, _tokens);
            Console.WriteLine($"{proxy.Name,-34} {megabytes:0} MB for 10,000 open long polls ({open} were open)");
        }
    }

    private static void Tell(string what, double seen, double asked, bool atLeast) =>
        Console.WriteLine($"{((atLeast ? seen >= asked : seen <= asked) ? "met   " : "MISSED")} {what}: {seen:0.00}, {(atLeast ? "at least" : "at most")} {asked:0.00}");

    private static double Ratio(List<Measured> all, List<Measured> peer, Func<Measured, double> figure) =>
        Middle(all.Zip(peer, (one, other) => figure(one) / figure(other)));

    public async ValueTask DisposeAsync()
    {
        foreach (var one in _proxies.Append(_upstream).Concat(_others))
        {
            await one.DisposeAsync();
        }
        Directory.Delete(_data, recursive: true);
    }

    private async Task BeginAsync()
    {
        var own = Environment.ProcessPath!;
        string[] self = [typeof(Comparison).Assembly.Location];
        var upstreamPort = Proxy.FreePort();
        _upstream = await Proxy.StartAsync("upstream", upstreamPort, own, [.. self, "upstream", $"{upstreamPort}"]);
        var sinkPort = Proxy.FreePort();
        var sink = await Proxy.StartAsync("telemetry", sinkPort, own, [.. self, "upstream", $"{sinkPort}"]);
        _others.Add(sink);

        var storage = DistributedApplication.CreateBuilder(new DistributedApplicationOptions
        {
            DisableDashboard = true,
            Args = ["--data-folder", _data, "DcpPublisher:RandomizePorts=true"],
        });
        var database = storage.AddPostgres("postgres").AddDatabase("mobiledb");
        var redis = storage.AddRedis("redis");
        var running = storage.Build();
        _others.Add(running);
        await running.StartAsync();
        await running.ResourceNotifications.WaitForResourceHealthyAsync("mobiledb");
        await running.ResourceNotifications.WaitForResourceHealthyAsync("redis");

        var key = new ECDsaSecurityKey(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = "benchmark" };
        var authority = $"http://127.0.0.1:{Proxy.FreePort()}";
        var app = Servers.Authority(authority, key);
        _others.Add(app);
        await app.StartAsync();
        _tokens = [.. Enumerable.Range(0, Tokens).Select(number => Token(authority, key, number))];
        _script = await WriteScriptAsync(Tokens);

        _settings = new()
        {
            ["Authentication__Authority"] = authority,
            ["ConnectionStrings__mobiledb"] = (await database.Resource.ConnectionStringExpression.GetValueAsync(default))!,
            ["ConnectionStrings__redis"] = (await redis.Resource.ConnectionStringExpression.GetValueAsync(default))!,
            ["services__home__http__0"] = _upstream.Address,
            ["services__devices__http__0"] = _upstream.Address,
            ["Limits__Plans__default__user__Per"] = "user",
            ["Limits__Plans__default__user__Permits"] = "1000000",
            ["Limits__Plans__default__user__Seconds"] = "60",
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = sink.Address,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
        };
        var yarpPort = Proxy.FreePort();
        _proxies.Add(await Proxy.StartAsync(Yarp, yarpPort, own, [.. self, "yarp", $"{yarpPort}", _upstream.Address]));
        _proxies.Add(await GatewayAsync(Untraced, ("OTEL_TRACES_SAMPLER", "always_off")));
        _proxies.Add(await GatewayAsync(Traced, ("OTEL_TRACES_SAMPLER", "always_on")));
        _proxies.Add(await GatewayAsync("gateway, no traces, no token cache", ("OTEL_TRACES_SAMPLER", "always_off"), ("Authentication__CachedTokens", "0")));
        _proxies.Add(await Peers.NginxAsync(_data, _upstream));
        _proxies.Add(await Peers.HaproxyAsync(_data, _upstream, authority, key.ECDsa));
    }

    private Task<Proxy> GatewayAsync(string name, params (string Key, string Value)[] own)
    {
        var port = Proxy.FreePort();
        var all = new Dictionary<string, string>(_settings) { ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}", ["DOTNET_ENVIRONMENT"] = "Production" };
        foreach (var (key, value) in own)
        {
            all[key] = value;
        }
        return Proxy.StartAsync(name, port, Environment.ProcessPath!, ["artifacts/bin/Gateway/release/Gateway.dll"], all);
    }

    private static string Token(string authority, ECDsaSecurityKey key, int number) => new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
    {
        Issuer = authority,
        Audience = "mobile-integration",
        Claims = new Dictionary<string, object>
        {
            ["sub"] = $"user-{number}",
            ["scope"] = "openid offline_access home devices",
            ["client_id"] = "com.example.shop",
            ["customer"] = $"C-{number % 5000:000000}",
            ["jti"] = Guid.NewGuid().ToString(),
        },
        Expires = DateTime.UtcNow.AddHours(4),
        TokenType = "at+jwt",
        SigningCredentials = new(key, SecurityAlgorithms.EcdsaSha256),
    });

    /// <returns>The file of a script that sends the first so many tokens in turn.</returns>
    private async Task<string> WriteScriptAsync(int count)
    {
        var script = new StringBuilder("local requests = {}\n");
        foreach (var token in _tokens.Take(count))
        {
            script.Append("requests[#requests + 1] = \"GET /api/home HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer ").Append(token)
                .Append("\\r\\nX-App-Id: com.example.shop\\r\\nX-App-Version: 1.4.2\\r\\nX-App-Platform: android\\r\\nX-Device-Id: ").Append(Guid.NewGuid()).Append("\\r\\n\\r\\n\"\n");
        }
        script.Append("local next = 0\nfunction request()\n  next = next % #requests + 1\n  return requests[next]\nend\n");
        var file = Path.Combine(_data, $"{count}.lua");
        await File.WriteAllTextAsync(file, script.ToString());
        return file;
    }

    private static double Median(IEnumerable<Measured> all, Func<Measured, double> figure) => Middle(all.Select(figure));

    public static double Middle(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
