using System.Diagnostics;
using System.Net.Http.Headers;

namespace GatewayBenchmark;

/// <summary>1,000 requests/s over at most 64 connections, whatever the answers take.</summary>
internal static class FixedRate
{
    private const int Rate = 1000;
    private const int WarmUp = 2;
    private const int Longest = 5;

    /// <returns>The median in ms.</returns>
    public static async Task<double> MedianAsync(Proxy proxy, IReadOnlyList<string> tokens, int seconds)
    {
        using var client = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 64 }) { BaseAddress = new(proxy.Address) };
        var times = new double[Rate * Math.Min(seconds, Longest)];
        await SendAsync(new double[Rate * WarmUp]);
        await SendAsync(times);
        return Comparison.Middle(times);

        async Task SendAsync(double[] times)
        {
            var watch = Stopwatch.StartNew();
            var calls = new Task[times.Length];
            for (var sent = 0; sent < times.Length;)
            {
                for (var due = Math.Min(times.Length, (int)(watch.Elapsed.TotalSeconds * Rate)); sent < due; sent++)
                {
                    calls[sent] = CallAsync(sent);
                }
                await Task.Delay(1);
            }
            await Task.WhenAll(calls);

            async Task CallAsync(int number)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, "/api/home");
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", tokens[number % tokens.Count]);
                request.Headers.Add("X-App-Id", "com.example.shop");
                request.Headers.Add("X-App-Version", "1.4.2");
                var began = Stopwatch.GetTimestamp();
                using var response = await client.SendAsync(request);
                await response.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync();
                times[number] = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
            }
        }
    }
}
