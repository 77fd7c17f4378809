using System.Diagnostics;
using System.Diagnostics.Tracing;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Microsoft.Diagnostics.NETCore.Client;

namespace GatewayBenchmark;

/// <summary>A server process on a port of this machine.</summary>
internal sealed class Proxy : IAsyncDisposable
{
    private const double TicksPerSecond = 100;
    private readonly Process _process;

    private Proxy(string name, int port, Process process) => (Name, Port, _process) = (name, port, process);

    public string Name { get; }

    public int Port { get; }

    public string Address => $"http://127.0.0.1:{Port}";

    /// <summary>Proportional share of the memory of all its processes.</summary>
    public double MemoryMegabytes => Processes().Sum(pid => File.ReadLines($"/proc/{pid}/smaps_rollup").Where(line => line.StartsWith("Pss:", StringComparison.Ordinal))
        .Sum(line => double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture))) / 1024;

    /// <summary>What is left after a collection of all generations, which a .NET process is asked for as a profiler would.</summary>
    public async Task<double> KeptMegabytesAsync()
    {
        const long ForceCollection = 0x800000;
        for (var collection = 0; collection < 2; collection++)
        {
            using var session = new DiagnosticsClient(_process.Id).StartEventPipeSession(
                [new EventPipeProvider("Microsoft-Windows-DotNETRuntime", EventLevel.Informational, ForceCollection)], requestRundown: false);
            var read = session.EventStream.CopyToAsync(Stream.Null);
            await Task.Delay(1000);
            await session.StopAsync(default);
            await read;
        }
        return MemoryMegabytes;
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public static async Task<Proxy> StartAsync(string name, int port, string command, IEnumerable<string> args, Dictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(command, args) { RedirectStandardOutput = true };
        foreach (var (key, value) in environment ?? [])
        {
            start.Environment[key] = value;
        }
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        var proxy = new Proxy(name, port, process);
        using var client = new HttpClient();
        for (var tries = 0; ; tries++)
        {
            try
            {
                using var answer = await client.GetAsync(new Uri($"{proxy.Address}/api/home"));
                return proxy;
            }
            catch (HttpRequestException) when (tries < 300 && !process.HasExited)
            {
                await Task.Delay(100);
            }
        }
    }

    /// <summary>Requests/s, median and 99th percentile in ms, failures, and this process's processor time in microseconds a request.</summary>
    public async Task<Measured> MeasureAsync(string script, int seconds)
    {
        var before = ProcessorSeconds();
        var start = new ProcessStartInfo("wrk", ["-t1", "-c64", $"-d{seconds}s", "--latency", "-s", script, $"{Address}/api/home"]) { RedirectStandardOutput = true };
        using var wrk = Process.Start(start)!;
        var output = await wrk.StandardOutput.ReadToEndAsync();
        var requests = double.Parse(Regex.Match(output, @"(\d+) requests in").Groups[1].Value, CultureInfo.InvariantCulture);
        var failed = Regex.Match(output, @"Non-2xx or 3xx responses: (\d+)") is { Success: true } match ? double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : 0;
        return new(
            double.Parse(Regex.Match(output, @"Requests/sec:\s+([\d.]+)").Groups[1].Value, CultureInfo.InvariantCulture),
            Milliseconds(output, "50"), Milliseconds(output, "99"), failed, (ProcessorSeconds() - before) / requests * 1e6);
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private static double Milliseconds(string output, string percentile)
    {
        var match = Regex.Match(output, $@"^\s+{percentile}%\s+([\d.]+)(us|ms|s)", RegexOptions.Multiline);
        var value = double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
        return match.Groups[2].Value switch { "us" => value / 1000, "s" => value * 1000, _ => value };
    }

    /// <summary>The children of a server that forks (nginx) belong to it.</summary>
    private IEnumerable<int> Processes() =>
        Process.GetProcesses().Select(process => process.Id).Where(pid => pid == _process.Id || (Stat(pid) is { } stat && stat[1] == $"{_process.Id}"));

    private double ProcessorSeconds() => Processes().Sum(pid =>
        Stat(pid) is { } stat ? (double.Parse(stat[11], CultureInfo.InvariantCulture) + double.Parse(stat[12], CultureInfo.InvariantCulture)) / TicksPerSecond : 0);

    private static string[]? Stat(int pid)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{pid}/stat");
            return text[(text.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return null;
        }
    }
}

internal sealed record Measured(double Rate, double P50, double P99, double Failed, double ProcessorMicroseconds);
