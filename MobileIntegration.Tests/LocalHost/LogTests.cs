using System.Globalization;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.Tests.LocalHost;

public sealed class LogTests : IDisposable
{
    private readonly ResourceLoggerService _logs = new();

    public void Dispose() => _logs.Dispose();

    internal static async Task<List<LogLine>> AllAsync(IAsyncEnumerable<IReadOnlyList<LogLine>> batches)
    {
        List<LogLine> lines = [];
        await foreach (var batch in batches)
        {
            lines.AddRange(batch);
        }

        return lines;
    }

    [Fact]
    public async Task Lines_are_numbered_and_carry_their_UTC_time()
    {
        var before = DateTime.UtcNow.AddMilliseconds(-1);
        _logs.Append("thing", "hello", isError: false);
        _logs.Append("thing", "oops", isError: true);
        var lines = await AllAsync(_logs.GetAllAsync("thing"));

        Assert.Equal([1, 2], lines.Select(line => line.LineNumber));
        Assert.Equal([false, true], lines.Select(line => line.IsErrorMessage));
        var (time, text) = lines[0].Content.Split(' ', 2) is [var left, var right] ? (left, right) : ("", "");
        Assert.Equal("hello", text);
        Assert.InRange(DateTime.Parse(time, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal), before, DateTime.UtcNow);
    }

    [Fact]
    public async Task The_newest_ten_thousand_lines_are_kept_with_their_numbers()
    {
        for (var i = 1; i <= 10_005; i++)
        {
            _logs.Append("thing", $"line {i}", isError: false);
        }

        var lines = await AllAsync(_logs.GetAllAsync("thing"));
        Assert.Equal(10_000, lines.Count);
        Assert.Equal((6, 10_005), (lines[0].LineNumber, lines[^1].LineNumber));
    }

    [Fact]
    public async Task A_slow_reader_gets_every_line_and_holds_up_no_writer()
    {
        const int Count = 50_000;
        _logs.Append("thing", "first", isError: false);
        await using var reader = _logs.WatchAsync("thing").GetAsyncEnumerator();
        Assert.True(await reader.MoveNextAsync());

        // The reader rests while all is written: more than the backlog holds.
        await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < Count / 5; i++)
            {
                _logs.Append("thing", "more", isError: false);
            }
        })));
        _logs.Complete("thing");

        var numbers = reader.Current.Select(line => line.LineNumber).ToList();
        while (await reader.MoveNextAsync())
        {
            numbers.AddRange(reader.Current.Select(line => line.LineNumber));
        }

        Assert.Equal(Enumerable.Range(1, Count + 1), numbers);
    }

    [Fact]
    public async Task A_completed_log_is_read_to_its_end_and_goes_on_with_the_next_line()
    {
        _logs.Append("thing", "before", isError: false);
        _logs.Complete("thing");
        Assert.Single(await AllAsync(_logs.WatchAsync("thing")));

        _logs.Append("thing", "after", isError: false);
        await using var reader = _logs.WatchAsync("thing").GetAsyncEnumerator();
        Assert.True(await reader.MoveNextAsync());
        var next = reader.MoveNextAsync();
        Assert.False(next.IsCompleted);
        _logs.Append("thing", "live", isError: false);
        Assert.True(await next);
        Assert.EndsWith("live", Assert.Single(reader.Current).Content, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_logger_of_a_resource_writes_to_all_its_instances_and_errors_as_errors()
    {
        var thing = new Thing("thing");
        thing.Annotations.Add(new ResourceInstancesAnnotation(["thing-a", "thing-b"]));
        _logs.GetLogger(thing).LogError(new InvalidOperationException("the cause"), "It {Verb}", "failed");
        foreach (var id in new[] { "thing-a", "thing-b" })
        {
            var line = Assert.Single(await AllAsync(_logs.GetAllAsync(id)));
            Assert.True(line.IsErrorMessage);
            Assert.Contains("It failed", line.Content, StringComparison.Ordinal);
            Assert.Contains("the cause", line.Content, StringComparison.Ordinal);
        }

        Assert.Equal(2, (await AllAsync(_logs.GetAllAsync(thing))).Count);
    }

    [Fact]
    public async Task Clearing_forgets_the_lines_and_keeps_the_count()
    {
        _logs.Append("thing", "one", isError: false);
        _logs.ClearBacklog("thing");
        _logs.Append("thing", "two", isError: false);
        Assert.Equal(2, Assert.Single(await AllAsync(_logs.GetAllAsync("thing"))).LineNumber);
    }

    [Fact]
    public async Task Observers_are_told_of_the_first_reader_and_the_last()
    {
        await using var observer = _logs.WatchAnySubscribersAsync().GetAsyncEnumerator();
        var first = observer.MoveNextAsync();
        using (var stop = new CancellationTokenSource())
        {
            _logs.Append("thing", "x", isError: false);
            await using var reader = _logs.WatchAsync("thing").GetAsyncEnumerator(stop.Token);
            Assert.True(await reader.MoveNextAsync());
            Assert.True(await first);
            Assert.Equal(new LogSubscriber("thing", true), observer.Current);
        }

        Assert.True(await observer.MoveNextAsync());
        Assert.Equal(new LogSubscriber("thing", false), observer.Current);
    }
}
