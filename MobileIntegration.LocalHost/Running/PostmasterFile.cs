using System.Diagnostics;
using System.Globalization;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// The file postmaster.pid in a server's data: line 1 is the server's process id, line 8 its state. That of a killed server stays, and its number
/// may by now be another process's.
/// </summary>
internal sealed class PostmasterFile(string data)
{
    private readonly string _path = Path.Combine(data, "postmaster.pid");

    public bool HoldsRunningServer()
    {
        if (!File.Exists(_path) || !int.TryParse(File.ReadLines(_path).FirstOrDefault(), CultureInfo.InvariantCulture, out var pid)
            || ProcessTree.IdentityOf(pid) is null)
        {
            return false;
        }

        var commandLine = $"/proc/{pid}/cmdline";
        if (File.Exists(commandLine))
        {
            var words = File.ReadAllText(commandLine).Split('\0');
            return Path.GetFileName(words[0]) == "postgres" && words.Contains(data);
        }

        using var process = Process.GetProcessById(pid);
        return process.ProcessName == "postgres";
    }

    /// <summary>A server would not start while another process has the number in it. True when there was one.</summary>
    public bool DeleteStale()
    {
        var exists = File.Exists(_path);
        File.Delete(_path);
        return exists;
    }

    public async Task<bool> IsReadyAsync(int pid, CancellationToken ct)
    {
        try
        {
            var lines = await File.ReadAllLinesAsync(_path, ct);
            return lines.Length >= 8 && lines[0] == pid.ToString(CultureInfo.InvariantCulture) && lines[7].Trim() == "ready";
        }
        catch (IOException)
        {
            // It is being written, or not there yet.
            return false;
        }
    }
}
