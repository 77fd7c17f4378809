using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Time.Testing;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.Tests.LocalHost.Running;

public sealed class HealthMonitorTests
{
    [Fact]
    public async Task Health_is_looked_at_ever_less_often_until_it_is_there_and_every_half_minute_from_then_on()
    {
        using var model = new TestModel();
        var (time, health) = (new AskedTime(), HealthStatus.Unhealthy);
        model.Builder.Services.AddSingleton<TimeProvider>(time);
        model.Builder.Services.AddHealthChecks().AddCheck("check", () => new HealthCheckResult(health));
        var thing = model.Builder.AddResource(new Thing("thing")).WithHealthCheck("check").Resource;
        using var ended = new CancellationTokenSource();
        var watching = model.Service<HealthMonitor>().WatchAsync(thing, "thing", new Lazy<Task>(Task.CompletedTask), ended.Token);

        foreach (var seconds in (int[])[1, 2, 3, 4, 5, 5, 30, 30, 1, 30])
        {
            Assert.Equal(TimeSpan.FromSeconds(seconds), await time.Asked.ReadAsync().AsTask().WaitAsync(RunningModel.Patience));
            time.Looks++;
            health = time.Looks is < 6 or 8 ? HealthStatus.Unhealthy : HealthStatus.Healthy;
            time.Advance(TimeSpan.FromSeconds(seconds));
        }

        await ended.CancelAsync();
        await watching;
    }

    /// <summary>Tells the delays that were asked for.</summary>
    private sealed class AskedTime : FakeTimeProvider
    {
        private readonly Channel<TimeSpan> _asked = Channel.CreateUnbounded<TimeSpan>();

        public ChannelReader<TimeSpan> Asked => _asked.Reader;

        public int Looks { get; set; }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            _asked.Writer.TryWrite(dueTime);
            return timer;
        }
    }
}
