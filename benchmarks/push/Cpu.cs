using System.Globalization;

/// <summary>Microseconds of processes' time on a core.</summary>
internal static class Cpu
{
    private const double PerTick = 10_000;

    public static double Of(int process) => Fields(process) is { } fields ? Time(fields, 11) : 0;

    /// <param name="backend">One of its processes; the one before all others is asked for those that have ended.</param>
    public static double OfPostgres(int backend)
    {
        var postmaster = int.Parse(Fields(backend)![1], CultureInfo.InvariantCulture);
        var running = Directory.EnumerateDirectories("/proc").Select(path => int.TryParse(Path.GetFileName(path), out var id) ? Fields(id) : null)
            .Where(fields => fields?[1] == $"{postmaster}").Sum(fields => Time(fields!, 11));
        return running + (Fields(postmaster) is { } own ? Time(own, 13) : 0);
    }

    private static double Time(string[] fields, int at) => PerTick * (long.Parse(fields[at], CultureInfo.InvariantCulture) + long.Parse(fields[at + 1], CultureInfo.InvariantCulture));

    // What follows the name in /proc/{id}/stat.
    private static string[]? Fields(int process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/stat").Split(") ")[^1].Split(' ');
        }
        catch (IOException)
        {
            return null;
        }
    }
}
