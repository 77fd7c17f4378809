namespace MobileIntegration.Tests;

/// <summary>Waits for what happens in another process, which gives no other sign.</summary>
public static class Eventually
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(25);
    private static readonly bool IsStrict = Environment.GetEnvironmentVariable("STRICT_TIMES") is "1";

    /// <summary>What is promised within a time is waited for eight times as long, since busy machines run these tests too; with STRICT_TIMES=1 no longer than promised.</summary>
    public static TimeSpan Promised(double seconds) => TimeSpan.FromSeconds(IsStrict ? seconds : 8 * seconds);

    /// <summary>Fails when the condition has not become true within <paramref name="patience"/>.</summary>
    public static async Task TrueAsync(Func<bool> condition, TimeSpan patience) =>
        await TrueAsync(() => Task.FromResult(condition()), patience);

    /// <inheritdoc cref="TrueAsync(Func{bool}, TimeSpan)"/>
    public static async Task TrueAsync(Func<Task<bool>> condition, TimeSpan patience)
    {
        using var deadline = new CancellationTokenSource(patience);
        using var timer = new PeriodicTimer(Pause);
        while (!await condition())
        {
            try
            {
                await timer.WaitForNextTickAsync(deadline.Token);
            }
            catch (OperationCanceledException)
            {
                Assert.Fail($"It did not become true within {patience}.");
            }
        }
    }

    /// <summary>Until no assertion fails; fails with that of the last try.</summary>
    public static async Task HoldsAsync(Func<Task> assertions, TimeSpan patience)
    {
        using var deadline = new CancellationTokenSource(patience);
        using var timer = new PeriodicTimer(Pause);
        while (true)
        {
            try
            {
                await assertions();
                return;
            }
            catch (Xunit.Sdk.XunitException) when (!deadline.IsCancellationRequested)
            {
                await timer.WaitForNextTickAsync(CancellationToken.None);
            }
        }
    }
}
