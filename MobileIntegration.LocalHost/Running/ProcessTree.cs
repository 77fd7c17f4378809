using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace MobileIntegration.LocalHost.Running;

/// <summary>What the kernel knows of processes: who they are, however often their numbers are given again, and who started whom.</summary>
internal static class ProcessTree
{
    private static readonly bool HasProc = OperatingSystem.IsLinux() && File.Exists("/proc/self/stat");
    private static readonly string Boot = HasProc ? File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim() : "";

    /// <summary>
    /// Tells the process with this id from any other that ever has it; null when there is none, or only its remains. On Linux it is made of the boot
    /// and the ticks since, which setting the clock does not change.
    /// </summary>
    public static string? IdentityOf(int pid)
    {
        if (HasProc)
        {
            return Read(pid) is { IsAlive: true } stat ? string.Create(CultureInfo.InvariantCulture, $"{Boot}/{stat.StartTicks}") : null;
        }

        try
        {
            using var process = Process.GetProcessById(pid);
            return process.HasExited ? null : process.StartTime.ToUniversalTime().ToString("yyyyMMddTHHmmss", CultureInfo.InvariantCulture);
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException or Win32Exception)
        {
            return null;
        }
    }

    /// <summary>
    /// The living processes, with their identities, that <paramref name="leader"/> has started, directly or through others: those below it, and those of
    /// the session it leads or led, which they stay in when their parent ends. Without /proc nothing is known.
    /// </summary>
    public static Dictionary<int, string> Below(int leader)
    {
        Dictionary<int, string> found = [];
        if (!HasProc)
        {
            return found;
        }

        List<Stat> all = [.. Directory.EnumerateDirectories("/proc").Select(folder => int.TryParse(Path.GetFileName(folder), out var pid) ? Read(pid) : null).OfType<Stat>()];
        var children = all.ToLookup(stat => stat.Parent);
        var pending = new Queue<Stat>(all.Where(stat => stat.Parent == leader || (stat.Session == leader && stat.Pid != leader)));
        while (pending.TryDequeue(out var stat))
        {
            if (stat.IsAlive && found.TryAdd(stat.Pid, string.Create(CultureInfo.InvariantCulture, $"{Boot}/{stat.StartTicks}")))
            {
                foreach (var child in children[stat.Pid])
                {
                    pending.Enqueue(child);
                }
            }
        }

        return found;
    }

    private static Stat? Read(int pid)
    {
        try
        {
            // The second field is the program's name, which may hold anything, also blanks and brackets.
            var text = File.ReadAllText($"/proc/{pid}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return new Stat(
                pid, fields[0][0], int.Parse(fields[1], CultureInfo.InvariantCulture), int.Parse(fields[3], CultureInfo.InvariantCulture),
                long.Parse(fields[19], CultureInfo.InvariantCulture));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It has ended.
            return null;
        }
    }

    private sealed record Stat(int Pid, char State, int Parent, int Session, long StartTicks)
    {
        public bool IsAlive => State is not ('Z' or 'X');
    }
}
