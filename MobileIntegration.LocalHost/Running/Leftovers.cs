using System.Diagnostics;
using System.Globalization;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// Knows every process that the AppHost has running, so that none outlives it: a small shell process holds the other end of a pipe and
/// ends them all when the pipe breaks, which is when the AppHost has died, in whatever way. A file beside it lets the next start
/// end what survived even that.
/// </summary>
internal sealed class Leftovers : IDisposable
{
    private const string WatchdogScript = """
        trap '' INT TERM HUP
        all=''
        while read -r op pid signal; do
          rest=''
          for entry in $all; do [ "${entry%:*}" = "$pid" ] || rest="$rest $entry"; done
          all=$rest
          [ "$op" = add ] && all="$all $pid:$signal"
        done
        for entry in $all; do kill -s "${entry#*:}" -- "-${entry%:*}" || kill -s "${entry#*:}" "${entry%:*}"; done
        tries=0
        while [ $tries -lt 60 ]; do
          alive=''
          for entry in $all; do kill -s 0 -- "-${entry%:*}" && alive=yes; done
          [ -z "$alive" ] && exit 0
          sleep 0.1
          tries=$((tries + 1))
        done
        for entry in $all; do kill -s KILL -- "-${entry%:*}"; done
        """;

    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(6);

    private readonly Lock _lock = new();
    private readonly Dictionary<int, string> _running = [];
    private readonly string _file;
    private readonly Process? _watchdog;

    /// <param name="file">Where the running processes are listed. Those of an earlier run that are still alive are ended now.</param>
    public Leftovers(string file)
    {
        _file = file;
        EndSurvivors(file);
        _watchdog = OperatingSystem.IsWindows() ? null : StartWatchdog();
    }

    public void Add(int pid, int stopSignal)
    {
        lock (_lock)
        {
            _running[pid] = $"{pid} {stopSignal} {StartTicks(pid).ToString(CultureInfo.InvariantCulture)}";
            Tell($"add {pid} {Unix.SignalName(stopSignal)}");
            Save();
        }
    }

    public void Remove(int pid)
    {
        lock (_lock)
        {
            if (_running.Remove(pid))
            {
                Tell($"remove {pid} -");
                Save();
            }
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _watchdog?.StandardInput.Close();
            _watchdog?.WaitForExit(Grace);
            _watchdog?.Dispose();
        }
    }

    private static void EndSurvivors(string file)
    {
        if (!File.Exists(file))
        {
            return;
        }

        List<(int Pid, int Signal)> survivors = [];
        foreach (var line in File.ReadLines(file))
        {
            // A process id may since have been given to somebody else's process, but not together with the start time.
            if (line.Split(' ') is [var pidText, var signalText, var ticksText]
                && int.TryParse(pidText, out var pid) && int.TryParse(signalText, out var signal) && long.TryParse(ticksText, out var ticks)
                && Math.Abs(StartTicks(pid) - ticks) < TimeSpan.TicksPerSecond)
            {
                survivors.Add((pid, signal));
            }
        }

        foreach (var (pid, signal) in survivors)
        {
            End(pid, signal);
        }

        var deadline = Stopwatch.StartNew();
        while (survivors.Exists(survivor => StartTicks(survivor.Pid) != 0) && deadline.Elapsed < Grace)
        {
            Thread.Sleep(20);
        }

        foreach (var (pid, _) in survivors)
        {
            End(pid, Unix.SigKill);
        }

        File.Delete(file);
    }

    private static void End(int pid, int signal)
    {
        if (StartTicks(pid) == 0)
        {
            return;
        }

        if (OperatingSystem.IsWindows())
        {
            using var process = Process.GetProcessById(pid);
            process.Kill(entireProcessTree: true);
        }
        else
        {
            Unix.SignalTree(pid, signal);
        }
    }

    /// <summary>When the process started, in ticks; 0 when there is none.</summary>
    private static long StartTicks(int pid)
    {
        try
        {
            using var process = Process.GetProcessById(pid);
            return process.HasExited ? 0 : process.StartTime.ToUniversalTime().Ticks;
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return 0;
        }
    }

    private static Process StartWatchdog()
    {
        var command = new ProcessStartInfo
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // POSIX puts sh there, whatever the PATH is.
        string[] shell = ["/bin/sh", "-c", WatchdogScript];
        string[] words = Executables.Find("setsid") is { } setsid ? [setsid, .. shell] : shell;
        command.FileName = words[0];
        foreach (var word in words.Skip(1))
        {
            command.ArgumentList.Add(word);
        }

        var process = Process.Start(command)!;
        process.StandardInput.AutoFlush = true;
        return process;
    }

    private void Tell(string line)
    {
        try
        {
            _watchdog?.StandardInput.Write(line + "\n");
        }
        catch (IOException)
        {
            // Someone ended the watchdog; the list in the file and the death signal of each child remain.
        }
    }

    private void Save() => File.WriteAllLines(_file, _running.Values);
}
