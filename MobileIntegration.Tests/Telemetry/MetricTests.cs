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

    [Fact]
    public void Old_points_are_thinned_and_every_window_still_shows_what_was_measured()
    {
        var clock = new FakeTimeProvider(Noon);
        var store = new TelemetryStore(new TelemetryLimits(), clock);
        var began = Noon.AddHours(-4);
        for (var i = 0; i <= 4 * 3600; i++)
        {
            var count = (ulong)(10 * i);
            store.Metrics("shop", Sum(began, began.AddSeconds(i), 10 * i), Histogram(began, began.AddSeconds(i), count, count / 2, 0));
        }

        Assert.InRange(store.Counts.MetricPoints, 2 * 200, 2 * 320);
        Assert.Equal(0, store.Counts.EvictedPoints);
        foreach (var minutes in new[] { 1, 5, 15, 30, 60, 180 })
        {
            var query = new MetricQuery("shop", "shop", "orders") { Window = TimeSpan.FromMinutes(minutes) };
            Assert.All(store.Chart(query)!.Combined, step => Assert.Equal(10, step.Rate!.Value, 0.01));
            Assert.All(store.Chart(query with { Instrument = "time" })!.Combined, step =>
            {
                Assert.Equal(15, step.Rate!.Value, 0.2);
                Assert.InRange(step.P50!.Value, 0, 10);
                Assert.InRange(step.P90!.Value, 10, 20);
            });
        }
    }

    [Fact]
    public void Thinning_keeps_the_end_of_a_counter_that_began_anew_and_a_time_in_which_nothing_changed()
    {
        var store = new TelemetryStore(new TelemetryLimits(), new FakeTimeProvider(Noon));
        var began = Noon.AddMinutes(-20);
        for (var i = 0; i <= 1200; i++)
        {
            // 5 a second, nothing from minute 8 to minute 10, and a restart at minute 12.
            var value = i < 720 ? 5 * (Math.Min(i, 480) + Math.Max(0, i - 600)) : 5 * (i - 720);
            store.Metrics("shop", Sum(i < 720 ? began : began.AddSeconds(720), began.AddSeconds(i), value));
        }

        var steps = store.Chart(new("shop", "shop", "orders") { Window = TimeSpan.FromMinutes(20), Steps = 20 })!.Combined;
        Assert.Equal([.. Enumerable.Repeat(300, 8), 0, 0, .. Enumerable.Repeat(300, 10)], steps.Select(step => (int)Math.Round(step.Rate!.Value * 60 / 25) * 25));
        Assert.InRange(store.Counts.MetricPoints, 60, 200);
    }

    [Fact]
    public void The_limit_holds_for_thinned_series_and_the_oldest_points_go_first()
    {
        var store = new TelemetryStore(new TelemetryLimits { MaxMetricsCount = 150 }, new FakeTimeProvider(Noon));
        var began = Noon.AddMinutes(-30);
        for (var i = 0; i <= 1800; i++)
        {
            store.Metrics("shop", Sum(began, began.AddSeconds(i), i, Text("shop", "a")), Sum(began, began.AddSeconds(i), 2 * i, Text("shop", "b")));
        }

        Assert.Equal(150, store.Counts.MetricPoints);
        Assert.NotEqual(0, store.Counts.EvictedPoints);
        var chart = store.Chart(new("shop", "shop", "orders") { Window = TimeSpan.FromMinutes(1), Steps = 6 })!;
        Assert.All(chart.Combined, step => Assert.Equal(3, step.Rate!.Value, 0.01));
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
