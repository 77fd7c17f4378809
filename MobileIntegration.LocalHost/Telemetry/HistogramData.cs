namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>What a histogram point holds: explicit bounds, or an exponential scale.</summary>
internal sealed record HistogramData(long Count, double? Sum, double? Min, double? Max)
{
    /// <summary>Points of one series share it.</summary>
    public double[] Bounds { get; set; } = [];

    public ulong[] Buckets { get; init; } = [];

    /// <summary>Bucket i of an exponential histogram reaches from base^i to base^(i+1), the base being 2^(2^-scale).</summary>
    public int? Scale { get; init; }

    public ulong Zeros { get; init; }

    public int PositiveOffset { get; init; }

    public ulong[] Positive { get; init; } = [];

    public int NegativeOffset { get; init; }

    public ulong[] Negative { get; init; } = [];
}

/// <summary>Counts by range of values, from any number of points, and the quantiles that follow.</summary>
internal sealed class HistogramSum
{
    private readonly Dictionary<(double Lower, double Upper), double> _counts = [];

    public double Count { get; private set; }

    public double Sum { get; private set; }

    /// <summary>Adds what came between two points of a cumulative series, or a whole point if there is none before.</summary>
    /// <param name="part">How much of it, from 0 to 1.</param>
    public void Add(HistogramData now, HistogramData? before, double part)
    {
        Count += part * (now.Count - (before?.Count ?? 0));
        Sum += part * ((now.Sum ?? 0) - (before?.Sum ?? 0));
        Add(now, now.Scale, part);
        if (before is not null)
        {
            Add(before, now.Scale, -part);
        }
    }

    public void Add(HistogramSum other)
    {
        Count += other.Count;
        Sum += other.Sum;
        foreach (var (range, count) in other._counts)
        {
            _counts[range] = _counts.GetValueOrDefault(range) + count;
        }
    }

    /// <summary>Within the range that holds the quantile, values are taken as evenly spread. Null if there are none.</summary>
    public double? Quantile(double quantile)
    {
        var ranges = _counts.Where(range => range.Value > 0).OrderBy(range => range.Key.Upper).ThenBy(range => range.Key.Lower).ToList();
        var rank = ranges.Sum(range => range.Value) * quantile;
        foreach (var ((lower, upper), count) in ranges)
        {
            if (rank <= count)
            {
                return double.IsInfinity(upper) ? lower : double.IsInfinity(lower) ? upper : lower + ((upper - lower) * rank / count);
            }

            rank -= count;
        }

        return ranges.Count == 0 ? null : ranges[^1].Key is var last && double.IsInfinity(last.Upper) ? last.Lower : last.Upper;
    }

    private void Add(HistogramData point, int? scale, double factor)
    {
        if (point.Scale is not { } own)
        {
            for (var i = 0; i < point.Buckets.Length && i <= point.Bounds.Length; i++)
            {
                var upper = i == point.Bounds.Length ? double.PositiveInfinity : point.Bounds[i];
                // Most instruments measure nothing below zero: the first bucket begins there, unless its bound says otherwise.
                Add(i > 0 ? point.Bounds[i - 1] : Math.Min(0, upper), upper, point.Buckets[i], factor);
            }

            return;
        }

        // A sender lowers the scale when values spread: then the buckets of the earlier point are joined likewise.
        var shift = Math.Clamp(own - (scale ?? own), 0, 31);
        var size = Math.Pow(2, -(own - shift));
        Add(0, 0, point.Zeros, factor);
        for (var i = 0; i < point.Positive.Length; i++)
        {
            var index = (point.PositiveOffset + i) >> shift;
            Add(Math.Pow(2, index * size), Math.Pow(2, (index + 1) * size), point.Positive[i], factor);
        }

        for (var i = 0; i < point.Negative.Length; i++)
        {
            var index = (point.NegativeOffset + i) >> shift;
            Add(-Math.Pow(2, (index + 1) * size), -Math.Pow(2, index * size), point.Negative[i], factor);
        }
    }

    private void Add(double lower, double upper, ulong count, double factor)
    {
        if (count != 0)
        {
            _counts[(lower, upper)] = _counts.GetValueOrDefault((lower, upper)) + (factor * count);
        }
    }
}
