using System.Globalization;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>How values are written on pages.</summary>
internal static class Formats
{
    public static string Duration(TimeSpan time) => time.TotalMilliseconds switch
    {
        < 1 => FormattableString.Invariant($"{time.TotalMicroseconds:0} µs"),
        < 10 => FormattableString.Invariant($"{time.TotalMilliseconds:0.00} ms"),
        < 1000 => FormattableString.Invariant($"{time.TotalMilliseconds:0.0} ms"),
        < 60_000 => FormattableString.Invariant($"{time.TotalSeconds:0.00} s"),
        _ => FormattableString.Invariant($"{time.TotalMinutes:0.0} min"),
    };

    public static string Time(DateTimeOffset time) => time.ToLocalTime().ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);

    public static string Moment(DateTimeOffset time) => time.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss.fff zzz", CultureInfo.InvariantCulture);

    public static string Number(double number) => Math.Abs(number) switch
    {
        0 => "0",
        >= 1e9 => FormattableString.Invariant($"{number / 1e9:0.##} G"),
        >= 1e6 => FormattableString.Invariant($"{number / 1e6:0.##} M"),
        >= 1e4 => FormattableString.Invariant($"{number / 1e3:0.#} k"),
        >= 100 => FormattableString.Invariant($"{number:0.#}"),
        >= 1 => FormattableString.Invariant($"{number:0.##}"),
        >= 0.001 => FormattableString.Invariant($"{number:0.####}"),
        _ => number.ToString("0.##e0", CultureInfo.InvariantCulture),
    };

    /// <summary>A unit in UCUM as people write it; what is in braces only names what is counted.</summary>
    public static string Unit(string unit) => unit switch { "By" => "bytes", "1" => "", _ => unit.Replace("By", "bytes", StringComparison.Ordinal).Trim('{', '}') };

    public static string Level(int severity) => severity switch
    {
        0 => "Unknown",
        < 5 => "Trace",
        < 9 => "Debug",
        < 13 => "Information",
        < 17 => "Warning",
        < 21 => "Error",
        _ => "Critical",
    };

    public static string LevelClass(int severity) => severity switch { >= 17 => "bad", >= 13 => "wait", >= 9 => "info", _ => "off" };

    public static string Css(double number) => FormattableString.Invariant($"{number:0.##}");

    /// <summary>Ids are long: the beginning tells them apart.</summary>
    public static string Short(TraceId id) => id.ToString()[..8];
}
