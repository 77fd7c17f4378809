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
        exec >/dev/null 2>&1
        trap '' INT TERM HUP PIPE
        PATH=$PATH:/usr/bin:/bin
        tell() { kill -s "$1" -- "-$2" || kill -s "$1" "-$2" || kill -s "$1" "$2"; }
        all=''
        while read -r op pid signal; do
          rest=''
          for entry in $all; do [ "${entry%:*}" = "$pid" ] || rest="$rest $entry"; done
          all=$rest
          [ "$op" = add ] && all="$all $pid:$signal"
        done
        for entry in $all; do tell "${entry#*:}" "${entry%:*}"; done
        tries=0
        while [ $tries -lt 50 ]; do
          alive=''
          for entry in $all; do tell 0 "${entry%:*}" && alive=yes; done
          [ -z "$alive" ] && exit 0
          sleep 0.1 || { sleep 1; tries=$((tries + 9)); }
          tries=$((tries + 1))
        done
        for entry in $all; do tell KILL "${entry%:*}"; done
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
            _running[pid] = string.Create(CultureInfo.InvariantCulture, $"{pid} {stopSignal} {ProcessTree.IdentityOf(pid)}");
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
                try
                {
                    Save();
                }
                catch (IOException)
                {
                    // A full disk: the list then names a process that has ended, whose identity no other has.
                }
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

        List<Survivor> survivors = [.. File.ReadLines(file).Select(Survivor.Parse).OfType<Survivor>().Where(survivor => survivor.IsAlive)];
        survivors.ForEach(survivor => End(survivor, survivor.Signal));
        var deadline = Stopwatch.StartNew();
        while (survivors.Exists(survivor => survivor.IsAlive) && deadline.Elapsed < Grace)
        {
            Thread.Sleep(20);
        }

        survivors.ForEach(survivor => End(survivor, Unix.SigKill));
        File.Delete(file);
    }

    private static void End(Survivor survivor, int signal)
    {
        if (!survivor.IsAlive)
        {
            return;
        }

        if (OperatingSystem.IsWindows())
        {
            using var process = Process.GetProcessById(survivor.Pid);
            process.Kill(entireProcessTree: true);
        }
        else
        {
            Unix.SignalTree(survivor.Pid, signal);
        }
    }

    private static Process StartWatchdog()
    {
        var command = new ProcessStartInfo
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };

        var shell = Executables.Find("sh") ?? "/bin/sh";
        string[] words = Executables.Find("setsid") is { } setsid ? [setsid, shell, "-c", WatchdogScript] : [shell, "-c", WatchdogScript];
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

    private sealed record Survivor(int Pid, int Signal, string Identity)
    {
        public bool IsAlive => ProcessTree.IdentityOf(Pid) == Identity;

        /// <summary>Null when the line is none that was written whole.</summary>
        public static Survivor? Parse(string line) =>
            line.Split(' ') is [var pid, var signal, { Length: > 0 } identity]
            && int.TryParse(pid, CultureInfo.InvariantCulture, out var number) && number > 1
            && int.TryParse(signal, CultureInfo.InvariantCulture, out var which) && which is Unix.SigInt or Unix.SigTerm
                ? new Survivor(number, which, identity)
                : null;
    }
}
