using System.Globalization;
using System.Runtime.InteropServices;

namespace MobileIntegration.LocalHost.Running;

/// <summary>The few POSIX calls that .NET does not offer.</summary>
internal static partial class Unix
{
    public const int SigInt = 2;
    public const int SigKill = 9;
    public const int SigTerm = 15;

    public static string SignalName(int signal) => signal switch
    {
        SigInt => "INT",
        SigTerm => "TERM",
        SigKill => "KILL",
        _ => throw new ArgumentOutOfRangeException(nameof(signal), signal, "This signal has no use here."),
    };

    public static bool IsRoot => !OperatingSystem.IsWindows() && GetEffectiveUserId() == 0;

    /// <summary>Signals the process group that <paramref name="pid"/> leads, or the process alone when it leads none. False when there is no such process.</summary>
    public static bool SignalTree(int pid, int signal) => Kill(-pid, signal) == 0 || Kill(pid, signal) == 0;

    /// <summary>Signals what is left of the process group that <paramref name="pid"/> led.</summary>
    public static bool SignalGroup(int pid, int signal) => Kill(-pid, signal) == 0;

    public static bool Signal(int pid, int signal) => Kill(pid, signal) == 0;

    public static void ChangeOwner(string path, User user)
    {
        if (ChangeOwner(path, user.Id, user.GroupId) != 0)
        {
            throw new IOException($"The owner of {path} could not be changed to {user.Name}: {Marshal.GetLastPInvokeErrorMessage()}.");
        }
    }

    /// <summary>How many files and connections this process may have open.</summary>
    public static int OpenFiles()
    {
        const string limits = "/proc/self/limits";
        var line = File.Exists(limits) ? File.ReadLines(limits).FirstOrDefault(line => line.StartsWith("Max open files", StringComparison.Ordinal)) : null;
        return int.TryParse(line?.Split(' ', StringSplitOptions.RemoveEmptyEntries).ElementAtOrDefault(3), CultureInfo.InvariantCulture, out var count) ? count : int.MaxValue;
    }

    /// <summary>An account without privileges to run a server under that refuses to run as root: postgres, else nobody.</summary>
    public static User? UnprivilegedUser()
    {
        var users = File.ReadLines("/etc/passwd")
            .Select(line => line.Split(':'))
            .Where(fields => fields.Length >= 4)
            .Select(fields => new User(fields[0], int.Parse(fields[2], CultureInfo.InvariantCulture), int.Parse(fields[3], CultureInfo.InvariantCulture)))
            .ToList();

        return users.Find(user => user.Name == "postgres") ?? users.Find(user => user.Name == "nobody");
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetEffectiveUserId();

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);

    [LibraryImport("libc", EntryPoint = "chown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeOwner(string path, int user, int group);

    internal sealed record User(string Name, int Id, int GroupId);
}
