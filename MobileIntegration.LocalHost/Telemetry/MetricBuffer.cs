using MobileIntegration.LocalHost.Telemetry.Otlp;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>The newest metric points of each resource.</summary>
internal sealed class MetricBuffer(TelemetryLimits limits, OtlpReader reader)
{
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

    /// <returns>How many points were taken and how many cannot be kept.</returns>
    public (int Added, int Rejected) Add(TelemetryResource resource, TelemetryScope scope, Metric metric)
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
                Add(points, instrument, attributes, point);
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

    private static void Add(Points points, MetricInstrument instrument, TelemetryAttribute[] attributes, MetricPoint point)
    {
        var key = string.Join('\u001f', attributes.OrderBy(attribute => attribute.Key, StringComparer.Ordinal));
        if (!instrument.Dimensions.TryGetValue(key, out var dimension))
        {
            instrument.Dimensions[key] = dimension = new(attributes);
        }

        if (!instrument.Delta && dimension.Points.Last is { } last && point.Repeats(last.Value))
        {
            last.Value.LastNano = point.LastNano;
            return;
        }

        dimension.Points.AddLast(point);
        points.Order.Enqueue((instrument, key));
    }

    private void Evict(Points points)
    {
        var (instrument, key) = points.Order.Dequeue();
        var dimension = instrument.Dimensions[key];
        dimension.Points.RemoveFirst();
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
        public Queue<(MetricInstrument Instrument, string Dimension)> Order { get; } = [];
    }
}
