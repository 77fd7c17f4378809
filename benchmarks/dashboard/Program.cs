using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.RegularExpressions;
using DashboardBenchmark;
using Microsoft.Playwright;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
var minutes = args.Length > 0 ? double.Parse(args[0], CultureInfo.InvariantCulture) : 10;
var rate = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 100;
var data = Directory.CreateTempSubdirectory("dashboard-benchmark-").FullName;
using var system = AppHost.Start(["--data-folder", data, "AppHost:BrowserToken=benchmark", .. args.Skip(2)]);
try
{
    await system.WaitForLineAsync("resources are healthy");
    var (dashboard, gateway) = (system.AddressAfter("Login to the dashboard at"), system.AddressAfter("gateway:"));

    using var playwright = await Playwright.CreateAsync();
    await using var browser = await playwright.Chromium.LaunchAsync(new() { ExecutablePath = "/usr/bin/chromium", Args = ["--no-sandbox", "--disable-gpu"] });
    var context = await browser.NewContextAsync();
    List<Updates> pages = [];
    foreach (var path in new[] { "/", "/traces", "/metrics", "/consolelogs" })
    {
        var page = await context.NewPageAsync();
        var updates = new Updates(path);
        page.WebSocket += (_, socket) => socket.FrameReceived += (_, frame) => updates.Frame(frame);
        await page.GotoAsync(pages.Count == 0 ? $"{dashboard}/login?t=benchmark" : $"{dashboard}{path}");
        pages.Add(updates);
    }

    using var load = new Load(gateway, rate);
    using var ends = new CancellationTokenSource(TimeSpan.FromMinutes(minutes));
    var sending = load.RunAsync(ends.Token);
    List<long> memory = [];
    Console.WriteLine($"{"s",5} {"requests",9} {"failed",7} {"p50 ms",7} {"p99 ms",7} {"memory MB",10} {"AppHost CPU %",14}   updates/s, in the busiest second: {string.Join(' ', pages.Select(page => page.Path))}");
    var (watch, cpu) = (Stopwatch.StartNew(), system.ProcessorTime);
    while (!ends.IsCancellationRequested)
    {
        await Task.Delay(TimeSpan.FromSeconds(20));
        memory.Add(system.MemoryMegabytes);
        var (requests, failed, p50, p99) = load.Take();
        Console.WriteLine(
            $"{watch.Elapsed.TotalSeconds,5:0} {requests,9} {failed,7} {p50,7:0.0} {p99,7:0.0} {memory[^1],10} {(system.ProcessorTime - cpu).TotalSeconds / 20 * 100,14:0}   {string.Join(' ', pages.Select(page => page.Take(20)))}");
        cpu = system.ProcessorTime;
    }

    await sending;
    var (middle, last) = (memory[(memory.Count / 3)..(memory.Count * 2 / 3)], memory[(memory.Count * 2 / 3)..]);
    if (middle.Count > 0)
    {
        Console.WriteLine($"memory: {middle.Average():0} MB in the middle third, {last.Average():0} MB in the last ({last.Average() / middle.Average():0.00}); updates of a page in a second: at most {pages.Max(page => page.Ever)}");
    }
}
finally
{
    await system.StopAsync();
    Directory.Delete(data, recursive: true);
}

namespace DashboardBenchmark
{
    /// <summary>How often a page was drawn anew, counted by the batches that the server sends it.</summary>
    internal sealed class Updates(string path)
    {
        private readonly Lock _lock = new();
        private readonly Queue<long> _recent = new();
        private int _busiest;
        private int _all;

        public string Path => path;

        public int Ever { get; private set; }

        public void Frame(IWebSocketFrame frame)
        {
            // Blazor's circuit names its calls in the frame.
            if (frame.Binary is not { } bytes || bytes.AsSpan().IndexOf("JS.RenderBatch"u8) < 0)
            {
                return;
            }

            lock (_lock)
            {
                var now = Stopwatch.GetTimestamp();
                _recent.Enqueue(now);
                _all++;
                while (Stopwatch.GetElapsedTime(_recent.Peek(), now) >= TimeSpan.FromSeconds(1))
                {
                    _recent.Dequeue();
                }

                _busiest = Math.Max(_busiest, _recent.Count);
                Ever = Math.Max(Ever, _recent.Count);
            }
        }

        /// <summary>Of the last seconds, the average a second and the most in one; what comes late comes with the next.</summary>
        public string Take(int seconds)
        {
            lock (_lock)
            {
                var text = $"{(double)_all / seconds:0.0},{_busiest}";
                (_all, _busiest) = (0, 0);
                return text;
            }
        }
    }

    /// <summary>Home pages of ever other customers at a fixed rate, whether or not answers have come.</summary>
    internal sealed class Load(string gateway, int rate) : IDisposable
    {
        private const int Customers = 5_000;
        private readonly HttpClient _client = new() { BaseAddress = new(gateway), Timeout = TimeSpan.FromSeconds(30) };
        private readonly List<double> _times = [];
        private int _failed;

        public async Task RunAsync(CancellationToken ct)
        {
            var watch = Stopwatch.StartNew();
            var token = DateTime.MinValue;
            for (var sent = 0; !ct.IsCancellationRequested;)
            {
                if (token < DateTime.UtcNow)
                {
                    await AuthorizeAsync();
                    token = DateTime.UtcNow.AddMinutes(5);
                }

                for (var due = (int)(watch.Elapsed.TotalSeconds * rate); sent < due; sent++)
                {
                    _ = SendAsync(sent % Customers + 1);
                }

                await Task.Delay(5, CancellationToken.None);
            }
        }

        public (int Requests, int Failed, double P50, double P99) Take()
        {
            lock (_times)
            {
                _times.Sort();
                var result = (_times.Count, Interlocked.Exchange(ref _failed, 0), At(0.5), At(0.99));
                _times.Clear();
                return result;
            }

            double At(double quantile) => _times.Count == 0 ? 0 : _times[(int)((_times.Count - 1) * quantile)];
        }

        public void Dispose() => _client.Dispose();

        private async Task SendAsync(int customer)
        {
            var began = Stopwatch.GetTimestamp();
            try
            {
                using var response = await _client.GetAsync($"/api/home?customer=C-{customer:000000}");
                await response.Content.ReadAsByteArrayAsync();
                response.EnsureSuccessStatusCode();
            }
            catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
            {
                Interlocked.Increment(ref _failed);
            }

            lock (_times)
            {
                _times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            }
        }

        private async Task AuthorizeAsync()
        {
            using var form = new FormUrlEncodedContent(new Dictionary<string, string>
            {
                ["grant_type"] = "client_credentials",
                ["client_id"] = "development-back-office",
                ["client_secret"] = "development-only-not-a-secret",
                ["scope"] = "home customers",
            });
            using var response = await _client.PostAsync(new Uri("/identity/connect/token", UriKind.Relative), form);
            response.EnsureSuccessStatusCode();
            using var answer = JsonDocument.Parse(await response.Content.ReadAsStreamAsync());
            _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", answer.RootElement.GetProperty("access_token").GetString());
        }
    }

    internal sealed partial class AppHost : IDisposable
    {
        private const int Terminate = 15;
        private readonly Process _process;
        private readonly List<string> _lines = [];

        private AppHost(Process process) => _process = process;

        public long MemoryMegabytes
        {
            get
            {
                _process.Refresh();
                return _process.WorkingSet64 / (1024 * 1024);
            }
        }

        public TimeSpan ProcessorTime
        {
            get
            {
                _process.Refresh();
                return _process.TotalProcessorTime;
            }
        }

        public static AppHost Start(IEnumerable<string> args)
        {
            var start = new ProcessStartInfo("dotnet", ["artifacts/bin/MobileIntegration.AppHost/debug/MobileIntegration.AppHost.dll", .. args])
            {
                RedirectStandardOutput = true,
            };
            start.Environment["DOTNET_ENVIRONMENT"] = "Development";
            var system = new AppHost(Process.Start(start)!);
            system._process.OutputDataReceived += (_, line) =>
            {
                lock (system._lines)
                {
                    system._lines.Add(line.Data ?? "");
                }
            };
            system._process.BeginOutputReadLine();
            return system;
        }

        public async Task WaitForLineAsync(string part)
        {
            while (Find(part) is null)
            {
                if (_process.HasExited)
                {
                    throw new InvalidOperationException($"The AppHost has ended: {string.Join('\n', _lines)}");
                }

                await Task.Delay(100);
            }
        }

        public string AddressAfter(string part) => Http().Match(Find(part)!).Value;

        public async Task StopAsync()
        {
            using var kill = Process.Start("kill", [$"-{Terminate}", $"{_process.Id}"]);
            await _process.WaitForExitAsync();
        }

        public void Dispose() => _process.Dispose();

        private string? Find(string part)
        {
            lock (_lines)
            {
                return _lines.Find(line => line.Contains(part, StringComparison.Ordinal));
            }
        }

        [GeneratedRegex("http://localhost:[0-9]+")]
        private static partial Regex Http();
    }
}
