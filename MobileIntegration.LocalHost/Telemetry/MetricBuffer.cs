using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>The newest metric points of each resource, old ones thinned.</summary>
internal sealed class MetricBuffer(TelemetryLimits limits, OtlpReader reader)
{
    // Services repeat every second what did not change; of these, files get one now and then, often enough that a series does not look ended.
    private static readonly long RepeatsRecorded = (long)TimeSpan.FromSeconds(30).TotalMilliseconds * 1_000_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<TelemetryResource, Points> _resources = [];

    public long Evicted { get; private set; }

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _resources.Values.Sum(points => points.Order.Count);
            }
        }
    }

    /// <param name="recorded">Gets the samples from which the same points can be made again; null if nothing records them.</param>
    /// <returns>How many points were taken and how many cannot be kept.</returns>
    public (int Added, int Rejected) Add(TelemetryResource resource, TelemetryScope scope, Metric metric, List<MetricSample>? recorded)
    {
        var (type, delta, monotonic) = metric.DataCase switch
        {
            Metric.DataOneofCase.Gauge => (InstrumentType.Gauge, false, false),
            Metric.DataOneofCase.Sum => (InstrumentType.Sum, metric.Sum.AggregationTemporality == AggregationTemporality.Delta, metric.Sum.IsMonotonic),
            Metric.DataOneofCase.Histogram => (InstrumentType.Histogram, metric.Histogram.AggregationTemporality == AggregationTemporality.Delta, true),
            Metric.DataOneofCase.ExponentialHistogram =>
                (InstrumentType.Histogram, metric.ExponentialHistogram.AggregationTemporality == AggregationTemporality.Delta, true),
            _ => (default, false, false),
        };
        if (metric.DataCase is Metric.DataOneofCase.Summary || metric.Name.Length == 0)
        {
            return (0, MetricPoints.Number(metric));
        }

        var read = MetricPoints.Read(metric, reader).ToList();
        lock (_lock)
        {
            if (!_resources.TryGetValue(resource, out var points))
            {
                _resources[resource] = points = new Points();
            }

            if (!points.Instruments.TryGetValue((scope.Name, metric.Name), out var instrument) || instrument.Type != type || instrument.Delta != delta)
            {
                points.Instruments[(scope.Name, reader.Text(metric.Name))] = instrument = new(resource, scope, reader.Text(metric.Name), type)
                {
                    Description = reader.Text(metric.Description),
                    Unit = reader.Text(metric.Unit),
                    Monotonic = monotonic,
                    Delta = delta,
                };
            }

            foreach (var (attributes, point) in read)
            {
                Add(points, instrument, attributes, point, recorded);
            }

            while (points.Order.Count > limits.MaxMetricsCount)
            {
                Evict(points);
            }
        }

        return (read.Count, 0);
    }

    public IReadOnlyList<MetricInstrument> Instruments(Func<TelemetryResource, bool> chosen) => Locked(() =>
        _resources.Where(resource => chosen(resource.Key)).SelectMany(resource => resource.Value.Instruments.Values).ToList());

    /// <summary>Reads instruments while nothing changes them.</summary>
    public T Locked<T>(Func<T> read)
    {
        lock (_lock)
        {
            return read();
        }
    }

    public void Clear()
    {
        lock (_lock)
        {
            _resources.Clear();
        }
    }

    /// <summary>All points, those that were repeated with their first and their last time, in the order that they can be added again.</summary>
    public List<MetricSample> Samples(Func<TelemetryResource, bool> chosen) => Locked(() =>
        Instruments(chosen).SelectMany(instrument => instrument.Dimensions.Values.SelectMany(dimension => dimension.Points.SelectMany(point =>
        {
            var first = new MetricSample(instrument, dimension.Attributes, point, point.FirstNano);
            return point.LastNano == point.FirstNano ? [first] : new[] { first, first with { AtNano = point.LastNano } };
        }))).ToList());

    private static void Add(
        Points points, MetricInstrument instrument, TelemetryAttribute[] attributes, MetricPoint point, List<MetricSample>? recorded)
    {
        var key = string.Join('\u001f', attributes.OrderBy(attribute => attribute.Key, StringComparer.Ordinal));
        if (!instrument.Dimensions.TryGetValue(key, out var dimension))
        {
            instrument.Dimensions[key] = dimension = new(attributes);
        }

        var last = dimension.Points.Last?.Value;
        if (!instrument.Delta && last is not null && point.Repeats(last))
        {
            last.LastNano = point.LastNano;
            if (last.LastNano - last.RecordedNano >= RepeatsRecorded)
            {
                Record(last);
            }

            return;
        }

        if (last is not null && last.RecordedNano != last.LastNano)
        {
            Record(last);
        }

        Record(point);
        if (point.Histogram is { } histogram && last?.Histogram is { } same && histogram.Bounds.AsSpan().SequenceEqual(same.Bounds))
        {
            histogram.Bounds = same.Bounds;
        }

        dimension.Points.AddLast(point);
        point.Place = points.Order.AddLast((instrument, key));
        if (!instrument.Delta)
        {
            dimension.Thin(instrument.Monotonic, thinned => points.Order.Remove(thinned.Place!));
        }

        void Record(MetricPoint one)
        {
            one.RecordedNano = one.LastNano;
            recorded?.Add(new(instrument, dimension.Attributes, one, one.LastNano));
        }
    }

    private void Evict(Points points)
    {
        var (instrument, key) = points.Order.First!.Value;
        points.Order.RemoveFirst();
        var dimension = instrument.Dimensions[key];
        dimension.RemoveFirst();
        Evicted++;
        if (dimension.Points.Count == 0)
        {
            instrument.Dimensions.Remove(key);
        }
    }

    private sealed class Points
    {
        public Dictionary<(string Meter, string Name), MetricInstrument> Instruments { get; } = [];

        /// <summary>Where each point is, the oldest first.</summary>
        public LinkedList<(MetricInstrument Instrument, string Dimension)> Order { get; } = [];
    }
}
