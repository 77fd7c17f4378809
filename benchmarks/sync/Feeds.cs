using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

/// <summary>Live feeds that wait, half of them long polls, half continuous; and what the service takes for them.</summary>
internal static class Feeds
{
    public static async Task RunAsync(Server server, Process service, int count)
    {
        var database = await server.NewDatabaseAsync();
        var address = new Uri(server.Address);
        List<Socket> sockets = [];
        // What the first feeds take is not theirs alone.
        await OpenAsync(100);
        var before = await SettledAsync(service);
        await OpenAsync(count);
        var after = await SettledAsync(service);
        Console.WriteLine($"{$"MB for {count} idle live feeds",-48} {before:N0} before, {after:N0} with them, {after - before:N0} more, under 200");
        await server.SendAsync(HttpMethod.Put, $"/{database}/one", "{}"u8.ToArray());
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(sockets.Select(HeardAsync));
        Console.WriteLine($"all of them told of a change {watch.Elapsed.TotalSeconds:N1} s after it was acknowledged");
        sockets.ForEach(socket => socket.Dispose());

        async Task OpenAsync(int some)
        {
            foreach (var chunk in Enumerable.Range(0, some).Chunk(100))
            {
                sockets.AddRange(await Task.WhenAll(chunk.Select(n => OneAsync(n % 2 is 0 ? "longpoll" : "continuous"))));
            }
        }

        async Task<Socket> OneAsync(string feed)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(IPAddress.Loopback, address.Port);
            await socket.SendAsync(Encoding.ASCII.GetBytes(
                $"GET {address.AbsolutePath}/{database}/_changes?feed={feed}&since=now&heartbeat=600000 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.Token}\r\n\r\n"));
            var buffer = new byte[4096];
            var read = await socket.ReceiveAsync(buffer);
            return Encoding.ASCII.GetString(buffer, 0, read).StartsWith("HTTP/1.1 200", StringComparison.Ordinal) ? socket : throw new HttpRequestException(Encoding.ASCII.GetString(buffer, 0, read));
        }
    }

    private static async Task HeardAsync(Socket socket)
    {
        var buffer = new byte[1024];
        var text = "";
        while (!text.Contains("\"id\":\"one\"", StringComparison.Ordinal))
        {
            text += await socket.ReceiveAsync(buffer) is > 0 and var read ? Encoding.ASCII.GetString(buffer, 0, read) : throw new HttpRequestException("A feed broke off.");
        }
    }

    /// <summary>The service's memory (PSS) in MB, once it does not change any more.</summary>
    private static async Task<double> SettledAsync(Process service)
    {
        var last = 0.0;
        for (var times = 0; times < 15; times++)
        {
            await Task.Delay(TimeSpan.FromSeconds(2));
            var now = long.Parse((await File.ReadAllLinesAsync($"/proc/{service.Id}/smaps_rollup")).First(line => line.StartsWith("Pss:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture) / 1024.0;
            if (times > 2 && Math.Abs(now - last) < 1)
            {
                return now;
            }
            last = now;
        }
        return last;
    }
}
