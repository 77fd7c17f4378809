namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>Makes series of equal steps from the points that came.</summary>
internal static class MetricCharts
{
    private const int MostExemplars = 200;

    // A series whose sender has fallen silent for this long has ended; shorter gaps lie between two of its exports.
    private static readonly long Silence = (long)TimeSpan.FromSeconds(90).TotalMilliseconds * 1_000_000;

    /// <summary>Null if there is no such instrument.</summary>
    public static MetricChart? Make(IReadOnlyList<MetricInstrument> instruments, MetricQuery query, DateTimeOffset until)
    {
        if (instruments.Count == 0)
        {
            return null;
        }

        var steps = Math.Clamp(query.Steps, 1, 2_000);
        var length = Math.Max(1_000_000, UnixTime.Nano(DateTimeOffset.UnixEpoch + query.Window) / steps);
        var ends = new long[steps + 1];
        for (var i = 0; i <= steps; i++)
        {
            ends[i] = UnixTime.Nano(until) - ((steps - i) * length);
        }

        var first = instruments[0];
        var all = instruments.Where(instrument => instrument.Type == first.Type)
            .SelectMany(instrument => instrument.Dimensions.Values.Select(dimension => (Instrument: instrument, Dimension: dimension))).ToList();
        var chosen = all.Where(one => IsChosen(one.Dimension, query)).ToList();
        var cells = chosen.Select(one => Cells(one.Instrument, one.Dimension, ends)).ToList();
        var info = first.Info with { Dimensions = all.Count };
        return new MetricChart(
            info,
            Steps(info, Combine(cells, steps), ends),
            [.. chosen.Select((one, i) => new MetricSeries(one.Dimension.Attributes, Steps(info, cells[i], ends)))],
            all.SelectMany(one => one.Dimension.Attributes).GroupBy(attribute => attribute.Key)
                .ToDictionary(key => key.Key, key => (IReadOnlyList<string>)[.. key.Select(one => one.Text).Distinct().Order(StringComparer.Ordinal)]),
            [.. chosen.SelectMany(one => one.Dimension.Points).Where(point => point.Exemplars.Length > 0 && point.LastNano > ends[0])
                .SelectMany(point => point.Exemplars).OrderByDescending(exemplar => exemplar.Time).Take(MostExemplars)]);
    }

    private static bool IsChosen(MetricDimension dimension, MetricQuery query) => query.Dimensions.All(filter =>
        filter.Value.Contains(Array.Find(dimension.Attributes, attribute => attribute.Key == filter.Key).Text));

    /// <summary>One dimension's steps: between each two ends, what was added and what holds at the second.</summary>
    private static Cell[] Cells(MetricInstrument instrument, MetricDimension dimension, long[] ends)
    {
        var cells = new Cell[ends.Length - 1];
        var node = dimension.Points.First;
        MetricPoint? before = null;
        while (node is not null && node.Value.FirstNano <= ends[0])
        {
            before = node.Value;
            node = node.Next;
        }

        // How much of the way from the point before to the next was gone before this step.
        var gone = Way(before, node?.Value, ends[0]);
        for (var i = 0; i < cells.Length; i++)
        {
            var cell = new Cell();
            for (; node is not null && node.Value.FirstNano <= ends[i + 1]; node = node.Next)
            {
                Increase(cell, instrument, node.Value, before, ends[0], 1 - gone);
                before = node.Value;
                gone = 0;
            }

            var way = Way(before, node?.Value, ends[i + 1]);
            if (way > gone)
            {
                Increase(cell, instrument, node!.Value, before, ends[0], way - gone);
                gone = way;
            }

            if (before is not null && (cell.Increased || before.LastNano > ends[i] - Silence))
            {
                cell.Known = true;
                cell.Last = gone > 0 ? before.Value + (gone * (node!.Value.Value - before.Value)) : before.Value;
            }

            cells[i] = cell;
        }

        return cells;
    }

    /// <summary>Where points were left out, how far a time is from the one before (0) to the one after them (1); 0 elsewhere.</summary>
    private static double Way(MetricPoint? before, MetricPoint? next, long time) =>
        before is null || next is not { Joined: true } || time <= before.LastNano || next.FirstNano <= before.LastNano
            ? 0
            : (double)(time - before.LastNano) / (next.FirstNano - before.LastNano);

    /// <param name="part">How much of what came since the point before, from 0 to 1.</param>
    private static void Increase(Cell cell, MetricInstrument instrument, MetricPoint point, MetricPoint? before, long begin, double part)
    {
        cell.Increased = true;
        // Without the point before it, a cumulative one tells only if it began to count within the window; a lower count began anew.
        var anew = instrument.Delta || (before is null ? point.StartNano >= begin : point.StartNano > before.StartNano && point.StartNano > 0) ||
            (before is not null && instrument.Monotonic && (point.Value < before.Value || point.Histogram?.Count < before.Histogram?.Count));
        if (before is null && !anew)
        {
            return;
        }

        if (point.Histogram is { } histogram)
        {
            (cell.Histogram ??= new()).Add(histogram, anew ? null : before?.Histogram, part);
        }

        cell.Added += part * (anew ? point.Value : point.Value - before!.Value);
    }

    private static Cell[] Combine(List<Cell[]> all, int steps)
    {
        var combined = new Cell[steps];
        for (var i = 0; i < steps; i++)
        {
            var sum = combined[i] = new Cell();
            foreach (var cell in all.Select(cells => cells[i]).Where(cell => cell.Known))
            {
                sum.Known = true;
                sum.Last += cell.Last;
                sum.Added += cell.Added;
                if (cell.Histogram is { } histogram)
                {
                    (sum.Histogram ??= new()).Add(histogram);
                }
            }
        }

        return combined;
    }

    private static List<MetricStep> Steps(InstrumentInfo info, Cell[] cells, long[] ends)
    {
        var seconds = (ends[1] - ends[0]) / 1e9;
        return [.. cells.Select((cell, i) =>
        {
            var time = UnixTime.From(ends[i + 1]);
            return (cell.Known, info.Type) switch
            {
                (false, _) => new MetricStep(time, null, null, null, null, null, null),
                (_, InstrumentType.Gauge) => new(time, cell.Last, null, null, null, null, null),
                (_, InstrumentType.Sum) => new(time, cell.Last, cell.Added / seconds, null, null, null, null),
                _ => new(
                    time, cell.Histogram is { Count: > 0 } sum ? sum.Sum / sum.Count : null, (cell.Histogram?.Count ?? 0) / seconds,
                    cell.Histogram?.Count ?? 0, cell.Histogram?.Quantile(0.5), cell.Histogram?.Quantile(0.9), cell.Histogram?.Quantile(0.99)),
            };
        })];
    }

    private sealed class Cell
    {
        public bool Known { get; set; }

        public bool Increased { get; set; }

        public double Last { get; set; }

        public double Added { get; set; }

        public HistogramSum? Histogram { get; set; }
    }
}
