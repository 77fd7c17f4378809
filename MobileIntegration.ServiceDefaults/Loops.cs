using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.ServiceDefaults;

/// <summary>Wakes a loop that sleeps until there is something to do, one of several that share it. What rings while all are awake ends the next sleep at once.</summary>
public class Bell(TimeProvider time)
{
    private readonly Channel<bool> _rung = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public void Ring() => _rung.Writer.TryWrite(true);

    /// <param name="most">After that long it is awake in any case.</param>
    /// <exception cref="OperationCanceledException"><paramref name="ct"/> ended it.</exception>
    public async Task WaitAsync(TimeSpan most, CancellationToken ct)
    {
        using var alarm = new CancellationTokenSource(most, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(alarm.Token, ct);
        try
        {
            await _rung.Reader.ReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // Nobody rang.
        }
    }
}

/// <summary>The loops of background services.</summary>
public static class Loops
{
    private static readonly TimeSpan AfterFault = TimeSpan.FromSeconds(1);

    /// <summary>Begins the loop anew a second after it failed, with a line in the log, until it ends by itself or the process stops.</summary>
    /// <param name="fault">What its failure means, such as <c>Commands cannot be worked on now</c>.</param>
    /// <param name="loop">Whatever it has not written down when the process stops is had again by who takes it over.</param>
    public static async Task SurviveAsync(this ILogger logger, string fault, Func<CancellationToken, Task> loop, TimeProvider time, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(loop);
        while (!ct.IsCancellationRequested)
        {
            try
            {
                await loop(ct);
                return;
            }
            catch (Exception exception) when (!ct.IsCancellationRequested)
            {
                logger.LogError(exception, "{Fault}", fault);
                await Task.Delay(AfterFault, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception)
            {
                return;
            }
        }
    }
}
