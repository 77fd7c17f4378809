using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

/// <summary>Processes that end before this one does.</summary>
internal sealed class Children : IAsyncDisposable
{
    private readonly List<Process> _running = [];

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Begins one that runs until the end, and waits until it listens.</summary>
    public async Task<Process> StartAsync(int port, string file, string[] arguments, IReadOnlyDictionary<string, string>? variables = null)
    {
        var process = Start(file, arguments, redirect: false, variables);
        _running.Add(process);
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, port);
                return process;
            }
            catch (SocketException) when (attempt < 600 && !process.HasExited)
            {
                await Task.Delay(100);
            }
        }
    }

    /// <summary>This program, with other words.</summary>
    public Task<Process> StartSelfAsync(int port, params string[] arguments) => StartAsync(port, "dotnet", [Self, .. arguments]);

    /// <summary>Runs one to its end.</summary>
    /// <returns>The number that it prints.</returns>
    public static async Task<double> AskAsync(string file, string[] arguments, IReadOnlyDictionary<string, string>? variables = null)
    {
        using var process = Start(file, arguments, redirect: true, variables);
        var text = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode is 0 ? double.Parse(text, CultureInfo.InvariantCulture) : throw new InvalidOperationException($"{file} {string.Join(' ', arguments)} ended with {process.ExitCode}.");
    }

    public static Task<double> AskSelfAsync(string[] arguments, IReadOnlyDictionary<string, string>? variables = null) => AskAsync("dotnet", [Self, .. arguments], variables);

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _running)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
            process.Dispose();
        }
    }

    private static string Self => Environment.GetCommandLineArgs()[0];

    private static Process Start(string file, string[] arguments, bool redirect, IReadOnlyDictionary<string, string>? variables)
    {
        var start = new ProcessStartInfo(file, arguments) { RedirectStandardOutput = redirect };
        foreach (var (name, value) in variables ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }
        return Process.Start(start)!;
    }
}
