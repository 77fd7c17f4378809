using System.Collections.Concurrent;
using System.Net;
using Gateway;

namespace MobileIntegration.Tests.Gateway;

/// <summary>Four clients that call without a pause.</summary>
internal sealed class Load : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private int _answers;

    public Load(IReadOnlyList<TestService<DiscoveredDestinations>> gateways, string version) =>
        _running = Task.WhenAll(Enumerable.Range(0, 4).Select(n => Task.Run(() => CallAsync(gateways[n % gateways.Count], version))));

    public int Answers => _answers;

    public ConcurrentBag<string> Failures { get; } = [];

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task CallAsync(TestService<DiscoveredDestinations> gateway, string version)
    {
        while (!_stop.IsCancellationRequested)
        {
            if (!await AppGateTests.IsAsync(gateway, version, HttpStatusCode.OK))
            {
                Failures.Add("It was refused or cut.");
            }
            Interlocked.Increment(ref _answers);
        }
    }
}
