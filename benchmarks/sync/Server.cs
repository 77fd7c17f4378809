using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;

/// <summary>A server that is measured, by a client that does as little as it can: it sends bytes that are there, and looks at no more of the answer than it needs.</summary>
/// <param name="processes">What it runs in, and a database of its own.</param>
internal sealed class Server(string address, string? token, params int[] processes) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { MaxConnectionsPerServer = 64 })
    {
        DefaultRequestHeaders = { Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token), Accept = { new("application/json") } },
        Timeout = TimeSpan.FromMinutes(5),
    };

    private int _made;

    public string Address => address;

    public string? Token => token;

    public async Task ReadyAsync()
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                await SendAsync(HttpMethod.Get, "/");
                return;
            }
            catch (HttpRequestException) when (watch.Elapsed < TimeSpan.FromMinutes(1))
            {
                await Task.Delay(100);
            }
        }
    }

    /// <returns>The name of a new database.</returns>
    public async Task<string> NewDatabaseAsync()
    {
        var database = $"bench{_made++}";
        await SendAsync(HttpMethod.Put, $"/{database}");
        return database;
    }

    public async Task<byte[]> SendAsync(HttpMethod method, string path, byte[]? json = null)
    {
        using var request = new HttpRequestMessage(method, new Uri(address + path));
        request.Content = json is null ? null : new ByteArrayContent(json) { Headers = { ContentType = new("application/json") } };
        using var response = await _http.SendAsync(request);
        return response.IsSuccessStatusCode ? await response.Content.ReadAsByteArrayAsync() : throw new HttpRequestException($"{method} {path}: {response.StatusCode} {await response.Content.ReadAsStringAsync()}");
    }

    /// <summary>The processor time of its processes and their children until now.</summary>
    private TimeSpan Cpu()
    {
        var ticks = 0L;
        foreach (var folder in Directory.EnumerateDirectories("/proc").Where(folder => char.IsAsciiDigit(Path.GetFileName(folder)[0])))
        {
            try
            {
                // Behind the name, which may hold anything: state, parent, ... user and system time in hundredths.
                var stat = File.ReadAllText($"{folder}/stat");
                var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                if (processes.Contains(Number(Path.GetFileName(folder))) || processes.Contains(Number(fields[1])))
                {
                    ticks += Number(fields[11]) + Number(fields[12]);
                }
            }
            catch (IOException)
            {
                // It has ended meanwhile.
            }
        }
        return TimeSpan.FromMilliseconds(ticks * 10);

        static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
    }

    public void Dispose() => _http.Dispose();

    /// <returns>How many a second, and the microseconds of processor time that the server took for one, its database included.</returns>
    public async Task<(double Rate, double Cpu)> RateAsync(int clients, int count, int each, Func<int, Task> work)
    {
        var next = -1;
        var before = Cpu();
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(async () =>
        {
            while (Interlocked.Increment(ref next) is var n && n < count)
            {
                await work(n);
            }
        })));
        var took = watch.Elapsed;
        return (count * each / took.TotalSeconds, (Cpu() - before).TotalMicroseconds / (count * each));
    }
}
