using FrontendServices.Sections;
using MobileIntegration.Contracts;

namespace MobileIntegration.Tests.FrontendServices;

public sealed class CallsUnderWayTests
{
    private readonly CallsUnderWay _calls = new();
    private readonly TaskCompletionSource<string> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _asked;

    [Fact]
    public async Task Who_asks_while_a_call_is_under_way_has_its_answer_and_who_asks_later_another()
    {
        Task<string>[] crowd = [.. Enumerable.Range(0, 100).Select(_ => AskAsync())];
        _first.SetResult("first");
        Assert.All(await Task.WhenAll(crowd), answer => Assert.Equal("first", answer));
        Assert.Equal(1, _asked);

        Assert.Equal("2", await AskAsync());
    }

    [Fact]
    public async Task Calls_for_other_things_are_others()
    {
        var first = AskAsync();
        Assert.Equal("2", await AskAsync("other"));
        _first.SetResult("first");
        Assert.Equal("first", await first);
    }

    [Fact]
    public async Task How_old_the_answer_is_and_that_it_is_stale_is_told_to_all()
    {
        Task<(int, bool)>[] crowd = [.. Enumerable.Range(0, 3).Select(_ => NoteAsync())];
        _first.SetResult("");
        Assert.All(await Task.WhenAll(crowd), note => Assert.Equal((7, true), note));

        async Task<(int Age, bool IsStale)> NoteAsync()
        {
            var note = CallNote.Begin();
            await _calls.JoinAsync("key", async () =>
            {
                await _first.Task;
                CallNote.Current!.Add(7, isStale: true);
                return "";
            });
            return (note.AgeSeconds, note.IsStale);
        }
    }

    [Fact]
    public async Task A_failure_of_what_is_asked_is_that_of_all()
    {
        Task<string>[] crowd = [.. Enumerable.Range(0, 3).Select(_ => AskAsync())];
        _first.SetException(new ProblemException(new(503, "Service Unavailable", "The service is away."), null));
        foreach (var one in crowd)
        {
            Assert.Equal(503, (await Assert.ThrowsAsync<ProblemException>(() => one)).Problem.Status);
        }
        Assert.Equal(1, _asked);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(504)]
    public async Task When_the_one_who_asked_first_leaves_or_may_not_or_had_less_time_the_others_ask_for_themselves(int? status)
    {
        var first = AskAsync();
        var second = AskAsync();
        _first.SetException(status is { } refusal ? new ProblemException(new(refusal, "No", "Not for this one."), null) : new OperationCanceledException());
        await Assert.ThrowsAnyAsync<Exception>(() => first);
        Assert.Equal("2", await second);
    }

    private Task<string> AskAsync(string key = "key") => _calls.JoinAsync(key, () => Interlocked.Increment(ref _asked) is 1 ? _first.Task : Task.FromResult($"{_asked}"));
}
