using System.Collections.Immutable;
using System.ComponentModel;
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Running;

/// <summary>A process that the AppHost started, with its output written line by line to a log.</summary>
internal sealed class ChildProcess
{
    private static readonly TimeSpan PollDelay = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan OutputPatience = TimeSpan.FromSeconds(2);
    private readonly Process _process;
    private readonly Leftovers _leftovers;
    private readonly int _stopSignal;
    private readonly ProcessOutput _output;

    private ChildProcess(Process process, Leftovers leftovers, int stopSignal, Action<string, bool> writeLine)
    {
        _process = process;
        Id = process.Id;
        _leftovers = leftovers;
        _stopSignal = stopSignal;
        _output = new ProcessOutput(process, writeLine);
        Exited = WaitForExitAsync();
    }

    public int Id { get; }

    /// <summary>What the process was started with; marked are those that the model gives, the others it has from the AppHost.</summary>
    public ImmutableArray<EnvironmentVariableSnapshot> Environment { get; set; } = [];

    /// <summary>The exit code, once the process has ended and its output has been read to the end. What it started may still run: call <see cref="StopAsync"/>.</summary>
    public Task<int> Exited { get; }

    /// <summary>What the process wrote last, on one line, for a message that says why it ended.</summary>
    public string LastWords => _output.LastWords;

    /// <summary>Starts a process. Whoever does calls <see cref="StopAsync"/> in the end, also when the process has ended by itself.</summary>
    /// <param name="command">What to start.</param>
    /// <param name="writeLine">Takes each line of output; true for standard error. Called from two threads.</param>
    /// <param name="leftovers">Remembers the process until it has ended, for the case that the AppHost is killed.</param>
    /// <param name="stopSignal">The signal that asks this program to end in order.</param>
    /// <param name="user">The account to run under, when the AppHost runs as root.</param>
    /// <exception cref="DistributedApplicationException">It could not be started; the message says why.</exception>
    public static async Task<ChildProcess> StartAsync(
        ProcessStartInfo command, Action<string, bool> writeLine, Leftovers leftovers, int stopSignal = Unix.SigTerm, Unix.User? user = null)
    {
        command.UseShellExecute = false;
        command.RedirectStandardInput = true;
        command.RedirectStandardOutput = true;
        command.RedirectStandardError = true;
        var program = command.FileName;

        Process process;
        try
        {
            process = await Spawner.StartAsync(command, stopSignal, user);
        }
        catch (Win32Exception exception)
        {
            throw new DistributedApplicationException($"'{program}' could not be started: {exception.Message}", exception);
        }

        var child = new ChildProcess(process, leftovers, stopSignal, writeLine);
        try
        {
            process.StandardInput.Close();
            leftovers.Add(process.Id, stopSignal);
        }
        catch (IOException)
        {
            // A process that could outlive the AppHost unnoticed must not run.
            await child.StopAsync(TimeSpan.Zero);
            throw;
        }

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
        finally
        {
            await child.StopAsync(TimeSpan.Zero);
        }
    }

    /// <summary>
    /// Asks the process and all that it has started to end, and ends by force what has not within <paramref name="grace"/>. Returns when all have ended.
    /// </summary>
    public async Task StopAsync(TimeSpan grace)
    {
        var deadline = Stopwatch.StartNew();
        var tree = ProcessTree.Below(Id);
        if (grace > TimeSpan.Zero && !OperatingSystem.IsWindows())
        {
            Unix.SignalTree(Id, _stopSignal);
            var orphansAsked = false;
            while (IsAlive(tree) && deadline.Elapsed < grace)
            {
                if (_process.HasExited && !orphansAsked)
                {
                    // What left the process's group was the process's own to end, but now nobody else does.
                    orphansAsked = true;
                    Signal(tree, _stopSignal);
                }

                await Task.Delay(PollDelay);
            }
        }

        if (IsAlive(tree))
        {
            // They may have started more meanwhile.
            foreach (var (pid, identity) in ProcessTree.Below(Id))
            {
                tree.TryAdd(pid, identity);
            }

            Kill();
            Signal(tree, Unix.SigKill);
        }

        await Exited;
        _leftovers.Remove(Id);
    }

    /// <summary>Ends the process, and what shares its session, by force.</summary>
    public void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (Exception exception) when (exception is InvalidOperationException or AggregateException or Win32Exception)
        {
            // It, or some of what it has started, has ended by itself.
        }

        if (!OperatingSystem.IsWindows())
        {
            Unix.SignalGroup(Id, Unix.SigKill);
        }
    }

    private bool IsAlive(Dictionary<int, string> tree) =>
        !_process.HasExited || tree.Any(one => ProcessTree.IdentityOf(one.Key) == one.Value) || ProcessTree.Below(Id).Count > 0;

    private static void Signal(Dictionary<int, string> tree, int signal)
    {
        foreach (var (pid, identity) in tree)
        {
            if (ProcessTree.IdentityOf(pid) == identity)
            {
                Unix.Signal(pid, signal);
            }
        }
    }

    private async Task<int> WaitForExitAsync()
    {
        await _process.WaitForExitAsync();

        // A grandchild that keeps the pipe open must not hide that the process itself has ended.
        await Task.WhenAny(_output.Ended, Task.Delay(OutputPatience));
        if (ProcessTree.Below(Id).Count == 0)
        {
            _leftovers.Remove(Id);
        }

        return _process.ExitCode;
    }
}
