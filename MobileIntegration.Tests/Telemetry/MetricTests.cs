using Microsoft.Extensions.Time.Testing;
using MobileIntegration.LocalHost.Telemetry;
using MobileIntegration.LocalHost.Telemetry.Otlp;
using static MobileIntegration.Tests.Telemetry.Sent;

namespace MobileIntegration.Tests.Telemetry;

public class MetricTests
{
    private readonly TelemetryStore _store = new(new TelemetryLimits(), new FakeTimeProvider(Noon.AddSeconds(60)));

    [Fact]
    public void A_sums_rate_is_what_it_grew_by_also_over_a_restart_of_the_counter()
    {
        _store.Metrics("shop", Sum(Noon.AddMinutes(-9), Noon, 100), Sum(Noon.AddMinutes(-9), Noon.AddSeconds(15), 160));
        _store.Metrics("shop", Sum(Noon.AddSeconds(20), Noon.AddSeconds(25), 30));
        var steps = _store.Chart(new("shop", "shop", "orders") { Window = TimeSpan.FromSeconds(60), Steps = 3 })!.Combined;
        Assert.Equal([3, 1.5, 0], steps.Select(step => step.Rate!.Value));
        Assert.Equal([160, 30, 30], steps.Select(step => step.Value!.Value));
    }

    [Fact]
    public void Points_that_repeat_the_one_before_take_no_room()
    {
        for (var i = 0; i < 50; i++)
        {
            _store.Metrics("shop", Sum(Noon, Noon.AddSeconds(i), 7));
        }

        Assert.Equal(1, _store.Counts.MetricPoints);
        Assert.Equal(7, _store.Chart(new("shop", "shop", "orders"))!.Combined[^1].Value);
    }

    [Fact]
    public void Quantiles_lie_within_the_bucket_that_holds_them_and_are_of_the_window_alone()
    {
        _store.Metrics("shop", Histogram(Noon.AddMinutes(-9), Noon, 1000, 0, 0));
        _store.Metrics("shop", Histogram(Noon.AddMinutes(-9), Noon.AddSeconds(30), 1000 + 50, 40, 10));
        var chart = _store.Chart(new("shop", "shop", "time") { Window = TimeSpan.FromSeconds(60), Steps = 1 })!;
        var step = chart.Combined.Single();
        Assert.Equal(100, step.Count);
        Assert.Equal((10, 20, 20), (step.P50, step.P90, step.P99));
    }

    [Fact]
    public void Exponential_histograms_of_two_scales_add_up()
    {
        // Scale 0: (1,2] and (2,4]; scale 1 halves each.
        _store.Metrics("shop", Exponential(Noon.AddSeconds(10), 1, 0, 10, 10, 10, 10), Exponential(Noon.AddSeconds(20), 0, 0, 20, 60));
        var step = _store.Chart(new("shop", "shop", "time") { Window = TimeSpan.FromSeconds(60), Steps = 1 })!.Combined.Single();
        Assert.Equal(80, step.Count);
        // 20 of the 80 lie in (1,2].
        Assert.InRange(step.P50!.Value, 2, 4);
        Assert.InRange(step.P99!.Value, step.P50.Value, 4);
    }

    [Fact]
    public void Dimensions_are_shown_each_filtered_and_together()
    {
        _store.Metrics("shop", Sum(Noon.AddSeconds(1), Noon.AddSeconds(30), 60, Text("shop", "a")), Sum(Noon.AddSeconds(1), Noon.AddSeconds(30), 120, Text("shop", "b")));
        var query = new MetricQuery("shop", "shop", "orders") { Window = TimeSpan.FromSeconds(60), Steps = 1 };
        var chart = _store.Chart(query)!;
        Assert.Equal([1, 2], chart.Series.Select(series => series.Steps.Single().Rate!.Value).Order());
        Assert.Equal(3, chart.Combined.Single().Rate);
        Assert.Equal(["a", "b"], chart.DimensionValues["shop"]);
        query = query with { Dimensions = new Dictionary<string, IReadOnlyCollection<string>> { ["shop"] = ["b"] } };
        Assert.Equal(2, _store.Chart(query)!.Combined.Single().Rate);
    }

    private static Metric Sum(DateTimeOffset start, DateTimeOffset time, long value, params KeyValue[] attributes) => new()
    {
        Name = "orders",
        Sum = new()
        {
            IsMonotonic = true,
            AggregationTemporality = AggregationTemporality.Cumulative,
            DataPoints = { new NumberDataPoint { StartTimeUnixNano = Nano(start), TimeUnixNano = Nano(time), AsInt = value, Attributes = { attributes } } },
        },
    };

    private static Metric Histogram(DateTimeOffset start, DateTimeOffset time, params ulong[] counts) => new()
    {
        Name = "time",
        Histogram = new()
        {
            AggregationTemporality = AggregationTemporality.Cumulative,
            DataPoints =
            {
                new HistogramDataPoint
                {
                    StartTimeUnixNano = Nano(start), TimeUnixNano = Nano(time), Count = (ulong)counts.Sum(count => (long)count),
                    ExplicitBounds = { 10, 20 }, BucketCounts = { counts },
                },
            },
        },
    };

    private static Metric Exponential(DateTimeOffset time, int scale, int offset, params ulong[] counts) => new()
    {
        Name = "time",
        ExponentialHistogram = new()
        {
            AggregationTemporality = AggregationTemporality.Cumulative,
            DataPoints =
            {
                new ExponentialHistogramDataPoint
                {
                    StartTimeUnixNano = Nano(Noon.AddSeconds(1)), TimeUnixNano = Nano(time), Scale = scale, Count = (ulong)counts.Sum(count => (long)count),
                    Positive = new() { Offset = offset, BucketCounts = { counts } },
                },
            },
        },
    };
}
