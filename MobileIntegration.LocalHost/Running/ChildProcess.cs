using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost.Running;

/// <summary>A process that the AppHost started, with its output written line by line to a log.</summary>
internal sealed class ChildProcess
{
    private const int LastLinesKept = 6;
    private readonly Queue<string> _lastLines = new();
    private readonly Process _process;
    private readonly int _stopSignal;
    private readonly Task _output;

    private ChildProcess(Process process, int stopSignal, Action<string, bool> writeLine)
    {
        _process = process;
        _stopSignal = stopSignal;
        _output = Task.WhenAll(
            CopyLinesAsync(process.StandardOutput, isError: false, writeLine),
            CopyLinesAsync(process.StandardError, isError: true, writeLine));
        Exited = WaitForExitAsync();
    }

    public int Id => _process.Id;

    /// <summary>The exit code, once the process has ended and its output has been read to the end.</summary>
    public Task<int> Exited { get; }

    /// <summary>What the process wrote last, on one line, for a message that says why it ended.</summary>
    public string LastWords
    {
        get
        {
            lock (_lastLines)
            {
                return string.Join(" | ", _lastLines.Select(line => line.Trim()));
            }
        }
    }

    /// <param name="command">What to start.</param>
    /// <param name="writeLine">Takes each line of output; true for standard error. Called from two threads.</param>
    /// <param name="leftovers">Remembers the process until it has ended, for the case that the AppHost is killed.</param>
    /// <param name="stopSignal">The signal that asks this program to end in order.</param>
    /// <param name="user">The account to run under, when the AppHost runs as root.</param>
    public static async Task<ChildProcess> StartAsync(
        ProcessStartInfo command, Action<string, bool> writeLine, Leftovers leftovers, int stopSignal = Unix.SigTerm, Unix.User? user = null)
    {
        command.UseShellExecute = false;
        command.RedirectStandardInput = true;
        command.RedirectStandardOutput = true;
        command.RedirectStandardError = true;

        var process = await Spawner.StartAsync(command, stopSignal, user);
        process.StandardInput.Close();
        leftovers.Add(process.Id, stopSignal);
        var child = new ChildProcess(process, stopSignal, writeLine);
        _ = child.Exited.ContinueWith(_ => leftovers.Remove(process.Id), TaskScheduler.Default);
        return child;
    }

    /// <summary>Runs a command to its end. Its output goes to <paramref name="logger"/>; a failure carries the last of it.</summary>
    public static async Task RunAsync(
        ProcessStartInfo command, string purpose, ILogger logger, Leftovers leftovers, Unix.User? user, CancellationToken ct)
    {
        var child = await StartAsync(command, (line, _) => logger.LogInformation("{Line}", line), leftovers, user: user);

        try
        {
            var exitCode = await child.Exited.WaitAsync(ct);
            if (exitCode != 0)
            {
                throw new DistributedApplicationException($"{purpose} failed with exit code {exitCode}: {child.LastWords}");
            }
        }
        catch (OperationCanceledException)
        {
            child.Kill();
            throw;
        }
    }

    /// <summary>Asks the process and its children to end, and ends them by force after <paramref name="grace"/>.</summary>
    public async Task StopAsync(TimeSpan grace)
    {
        if (OperatingSystem.IsWindows())
        {
            Kill();
        }
        else
        {
            Unix.SignalTree(Id, _stopSignal);
        }

        try
        {
            await Exited.WaitAsync(grace);
        }
        catch (TimeoutException)
        {
            Kill();
            await Exited;
        }
        finally
        {
            // What the process started and left behind shares its group.
            if (!OperatingSystem.IsWindows())
            {
                Unix.SignalGroup(Id, Unix.SigKill);
            }
        }
    }

    public void Kill()
    {
        try
        {
            if (!OperatingSystem.IsWindows())
            {
                Unix.SignalTree(Id, Unix.SigKill);
            }

            _process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It has ended by itself.
        }
    }

    private async Task<int> WaitForExitAsync()
    {
        await _process.WaitForExitAsync();

        // A grandchild that keeps the pipe open must not hide that the process itself has ended.
        await Task.WhenAny(_output, Task.Delay(TimeSpan.FromSeconds(2)));
        return _process.ExitCode;
    }

    private async Task CopyLinesAsync(StreamReader reader, bool isError, Action<string, bool> writeLine)
    {
        await Task.Yield();
        while (await reader.ReadLineAsync() is { } line)
        {
            lock (_lastLines)
            {
                _lastLines.Enqueue(line);
                if (_lastLines.Count > LastLinesKept)
                {
                    _lastLines.Dequeue();
                }
            }

            writeLine(line, isError);
        }
    }
}
