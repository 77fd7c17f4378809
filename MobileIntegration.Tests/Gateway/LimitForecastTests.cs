using Gateway;
using Microsoft.Extensions.Time.Testing;

namespace MobileIntegration.Tests.Gateway;

/// <summary>What a replica says of limits between two answers of Redis.</summary>
public sealed class LimitForecastTests
{
    private readonly FakeTimeProvider _time = new(new(2027, 1, 31, 12, 0, 0, TimeSpan.Zero));
    private readonly LimitForecast _forecast;
    private readonly Limit[] _limits = [new("user", LimitPer.User, LimitKind.Day, 1000, 0, 0)];
    private readonly string[] _keys = ["limits:user"];
    private readonly LimitCount[] _counts = new LimitCount[1];

    public LimitForecastTests() => _forecast = new(_time);

    [Fact]
    public void Whoever_was_never_counted_may_pass_and_what_is_left_is_not_known() => Assert.Equal(Outlook.Plenty, Take());

    [Fact]
    public void After_an_answer_every_call_is_counted_and_none_twice()
    {
        Told(left: 900, wasTaken: false);
        Assert.Equal((Outlook.Known, 899), (Take(), _counts[0].Left));
        Assert.Equal((Outlook.Known, 898), (Take(), _counts[0].Left));
        // Redis answers for the first of the two.
        Told(left: 899, wasTaken: true);
        Assert.Equal((Outlook.Known, 897), (Take(), _counts[0].Left));
    }

    [Fact]
    public void What_other_replicas_counted_is_known_with_the_next_answer()
    {
        Told(left: 900, wasTaken: false);
        Take();
        Told(left: 700, wasTaken: true);
        Assert.Equal((Outlook.Known, 699), (Take(), _counts[0].Left));
    }

    [Fact]
    public void With_less_than_half_left_Redis_is_asked_first()
    {
        Told(left: 500, wasTaken: false);
        Assert.Equal(Outlook.Tight, Take());
    }

    [Fact]
    public void A_small_limit_is_always_asked_for() =>
        Assert.Equal(Outlook.Tight, _forecast.Take([new("user", LimitPer.User, LimitKind.Day, 199, 0, 0)], _keys, _counts));

    [Fact]
    public void What_is_two_seconds_old_is_not_told_any_more()
    {
        Told(left: 900, wasTaken: false);
        _time.Advance(TimeSpan.FromSeconds(2.1));
        Assert.Equal(Outlook.Plenty, Take());
    }

    [Fact]
    public void Calls_that_Redis_never_answered_for_weigh_on_nobody_once_it_is_back()
    {
        Told(left: 900, wasTaken: false);
        Take();
        _forecast.Forget();
        Assert.Equal(Outlook.Plenty, Take());
        Told(left: 899, wasTaken: false);
        Assert.Equal((Outlook.Known, 898), (Take(), _counts[0].Left));
    }

    private Outlook Take() => _forecast.Take(_limits, _keys, _counts);

    private void Told(long left, bool wasTaken) => _forecast.Told(_limits[0], _keys[0], new(0, left, 3_600_000_000), wasTaken ? 1 : 0);
}
