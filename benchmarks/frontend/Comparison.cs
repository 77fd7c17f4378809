using System.Globalization;
using System.Text;
using GatewayBenchmark;

namespace FrontendBenchmark;

/// <summary>The same requests to each server, in turn, in each round; and how many calls to the services behind a page took.</summary>
internal static class Comparison
{
    private const int Tokens = 1_000;

    public static async Task RunAsync(Bench bench, int rounds, int seconds, int warmUp)
    {
        var script = Path.Combine(Path.GetTempPath(), $"frontend-benchmark-{Environment.ProcessId}.lua");
        await WriteScriptAsync(bench, script);
        try
        {
            (string, string)[] services = [.. ((string[])["customers", "orders", "products", "inventory"]).Select(service => ($"services__{service}__http__0", bench.Upstream.Address))];
            Task<Proxy> FrontendAsync(string name, params (string, string)[] settings) => bench.ServiceAsync(name, "FrontendServices", [("Run", "home"), .. services, .. settings]);
            Proxy[] servers =
            [
                await bench.OwnAsync("hand-written, plain HttpClient", "minimal", bench.Upstream.Address),
                await FrontendAsync("home, cold", ("Sections__FreshSeconds", "0"), ("Sections__StaleSeconds", "0")),
                await FrontendAsync("home, cold, not traced", ("Sections__FreshSeconds", "0"), ("Sections__StaleSeconds", "0"), ("OTEL_TRACES_SAMPLER", "always_off")),
                await FrontendAsync("home, warm", ("Sections__FreshSeconds", "300")),
                await FrontendAsync("home, warm, not traced", ("Sections__FreshSeconds", "300"), ("OTEL_TRACES_SAMPLER", "always_off")),
            ];
            var measured = servers.ToDictionary(server => server, _ => new List<Measured>());
            var calls = servers.ToDictionary(server => server, _ => new List<double>());
            using var http = new HttpClient();
            foreach (var server in servers)
            {
                await server.MeasureAsync(script, warmUp);
            }
            // Short and in turn: how fast the machine is changes from one minute to the next.
            for (var round = 0; round < rounds; round++)
            {
                foreach (var server in servers)
                {
                    var before = await CallsAsync();
                    var one = await server.MeasureAsync(script, seconds);
                    measured[server].Add(one);
                    calls[server].Add((await CallsAsync() - before) / (one.Rate * seconds));
                }
            }
            Console.WriteLine($"{"",-32} {"req/s",8} {"p50 ms",7} {"p99 ms",7} {"CPU us",7} {"PSS MB",7} {"failed",7} {"calls",6} {"req/s vs hand-written",22}");
            foreach (var (server, all) in measured)
            {
                var ratio = Middle(all.Zip(measured[servers[0]], (one, peer) => one.Rate / peer.Rate));
                Console.WriteLine(
                    $"{server.Name,-32} {Middle(all.Select(one => one.Rate)),8:0} {Middle(all.Select(one => one.P50)),7:0.00} {Middle(all.Select(one => one.P99)),7:0.0} "
                    + $"{Middle(all.Select(one => one.ProcessorMicroseconds)),7:0.0} {server.MemoryMegabytes,7:0} {all.Sum(one => one.Failed),7:0} {Middle(calls[server]),6:0.0} {ratio,22:0.00}");
            }

            async Task<long> CallsAsync() => long.Parse(await http.GetStringAsync($"{bench.Upstream.Address}/calls"), CultureInfo.InvariantCulture);
        }
        finally
        {
            File.Delete(script);
        }
    }

    private static Task WriteScriptAsync(Bench bench, string path)
    {
        var script = new StringBuilder("local requests = {}\n");
        for (var number = 0; number < Tokens; number++)
        {
            script.Append("requests[#requests + 1] = \"GET /api/home HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer ").Append(bench.Token($"C-{number:000000}", number)).Append("\\r\\n\\r\\n\"\n");
        }
        script.Append("local next = 0\nfunction request()\n  next = next % #requests + 1\n  return requests[next]\nend\n");
        return File.WriteAllTextAsync(path, script.ToString());
    }

    private static double Middle(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
