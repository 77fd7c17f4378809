using System.Globalization;
using System.Text;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <param name="Values">One for each step; null where nothing is known.</param>
internal sealed record ChartLine(string Name, string Colour, IReadOnlyList<double?> Values)
{
    public double? Last => Values.LastOrDefault(value => value is not null);
}

internal sealed record ChartDot(double X, double Y, string Address, string Text);

/// <summary>Lines over time in one SVG, drawn on the server.</summary>
internal sealed class ChartPicture
{
    public const int Width = 900;
    public const int Height = 300;
    public const int Left = 64;
    public const int Bottom = Height - 28;
    private const int Top = 12;
    private const int DotRoom = 12;
    private const int Right = Width - 16;
    private readonly IReadOnlyList<DateTimeOffset> _times;
    private readonly double _top;

    public ChartPicture(IReadOnlyList<DateTimeOffset> times, IReadOnlyList<ChartLine> lines, IReadOnlyList<MetricExemplar> exemplars)
    {
        (_times, Lines) = (times, lines);
        var values = lines.SelectMany(line => line.Values).OfType<double>().DefaultIfEmpty(0).ToList();
        var (low, high) = (Math.Min(0, values.Min()), values.Max());
        var step = NiceStep((high - low) / 4);
        _top = Math.Max(step, Math.Ceiling(high / step) * step);
        Low = Math.Floor(low / step) * step;
        Levels = [.. Enumerable.Range(0, (int)Math.Round((_top - Low) / step) + 1).Select(i => Low + (i * step)).Select(value => (value, Y(value)))];
        // One dot a place: those that would cover another are in the list below the chart.
        Dots = [.. exemplars.Where(one => one.Time >= times[0] && one.Time <= times[^1] && !one.TraceId.IsEmpty).Select(one => new ChartDot(
                X(one.Time), Y(Math.Clamp(one.Value, Low, _top)), $"/traces/{one.TraceId}?span={one.SpanId}", $"{Formats.Number(one.Value)} at {Formats.Time(one.Time)}"))
            .DistinctBy(dot => ((int)(dot.X / DotRoom), (int)(dot.Y / DotRoom)))];
    }

    public IReadOnlyList<ChartLine> Lines { get; }

    public IReadOnlyList<(double Value, double Y)> Levels { get; }

    public IReadOnlyList<ChartDot> Dots { get; }

    public IEnumerable<(string Text, double X)> Ticks
    {
        get
        {
            var format = _times[^1] - _times[0] > TimeSpan.FromMinutes(10) ? "HH:mm" : "HH:mm:ss";
            for (var i = 0; i <= 5; i++)
            {
                var time = _times[0] + ((_times[^1] - _times[0]) * i / 5);
                yield return (time.ToLocalTime().ToString(format, CultureInfo.InvariantCulture), X(time));
            }
        }
    }

    private double Low { get; }

    /// <summary>The line as a path with gaps where nothing is known, and as another one the values that stand alone.</summary>
    public (string Line, string Alone) Paths(ChartLine line)
    {
        var (path, alone) = (new StringBuilder(), new StringBuilder());
        for (var i = 0; i < line.Values.Count; i++)
        {
            if (line.Values[i] is not { } value)
            {
                continue;
            }

            var begins = i == 0 || line.Values[i - 1] is null;
            var ends = i == line.Values.Count - 1 || line.Values[i + 1] is null;
            (begins && ends ? alone : path).Append(CultureInfo.InvariantCulture, $"{(begins ? 'M' : 'L')}{X(_times[i]):0.#} {Y(value):0.#}{(begins && ends ? "h.1" : "")}");
        }

        return (path.ToString(), alone.ToString());
    }

    private double X(DateTimeOffset time) => Left + ((time - _times[0]) / (_times[^1] - _times[0]) * (Right - Left));

    private double Y(double value) => Bottom - ((value - Low) / (_top - Low) * (Bottom - Top));

    private static double NiceStep(double rough)
    {
        if (rough <= 0)
        {
            return 1;
        }

        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        return power * (rough / power) switch { <= 1 => 1, <= 2 => 2, <= 2.5 => 2.5, <= 5 => 5, _ => 10 };
    }
}
