using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace GatewayBenchmark;

/// <summary>What is kept for callers, after a full collection.</summary>
internal static class Memory
{
    private const int Connections = 10_000;

    /// <summary>Descriptors that a server has beside those of the calls.</summary>
    private const int Others = 1000;

    /// <returns>MB more after all tokens than after one of them.</returns>
    public static async Task<double> OfTokensAsync(Proxy gateway, string one, string all, int tokens, int seconds)
    {
        await gateway.MeasureAsync(one, seconds);
        var before = await gateway.KeptMegabytesAsync();
        for (var sent = 0.0; sent < tokens; sent += seconds * (await gateway.MeasureAsync(all, seconds)).Rate)
        {
        }
        return await gateway.KeptMegabytesAsync() - before;
    }

    /// <returns>How many calls were open, and the MB for 10,000 of them.</returns>
    public static async Task<(int Open, double Megabytes)> OfOpenCallsAsync(Proxy proxy, Proxy upstream, IReadOnlyList<string> tokens)
    {
        // Each call is two sockets of the proxy.
        var open = Math.Min(Connections, (Descriptors() - Others) / 2);
        using var http = new HttpClient();
        await HeldAsync(held => held is 0);
        var before = await proxy.KeptMegabytesAsync();
        var sockets = new Socket[open];
        try
        {
            await Parallel.ForAsync(0, open, new ParallelOptions { MaxDegreeOfParallelism = 32 }, async (number, ct) =>
            {
                sockets[number] = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                await sockets[number].ConnectAsync("127.0.0.1", proxy.Port, ct);
                await sockets[number].SendAsync(Encoding.ASCII.GetBytes(
                    $"GET {Servers.Hold} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {tokens[number % tokens.Count]}\r\n\r\n"), ct);
            });
            await HeldAsync(held => held >= open);
            return (open, (await proxy.KeptMegabytesAsync() - before) * Connections / open);
        }
        finally
        {
            foreach (var socket in sockets)
            {
                socket?.Dispose();
            }
        }

        async Task HeldAsync(Func<int, bool> isReached)
        {
            for (var tries = 0; !isReached(int.Parse(await http.GetStringAsync(new Uri(upstream.Address + Servers.Held)), CultureInfo.InvariantCulture)); tries++)
            {
                if (tries is 600)
                {
                    throw new InvalidOperationException($"{proxy.Name} does not hold {open} calls, or does not let them go.");
                }
                await Task.Delay(100);
            }
        }
    }

    private static int Descriptors() => File.ReadLines("/proc/self/limits").First(line => line.StartsWith("Max open files", StringComparison.Ordinal))
        .Split(' ', StringSplitOptions.RemoveEmptyEntries)[4] is var hard && int.TryParse(hard, CultureInfo.InvariantCulture, out var most) ? most : int.MaxValue;
}
