using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// The unchanging address of a project's endpoint: takes connections on the public port and passes each to one of the running instances,
/// chosen at random. A connection that comes before an instance listens, or between two, waits for one; when all have been stopped it is closed.
/// </summary>
internal sealed class TcpProxy : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan AcceptDelay = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan WarningPace = TimeSpan.FromSeconds(10);

    // Two for each connection that is passed on, and a rest for everything else of the process: without any it would end.
    private static readonly int MostConnections = (Unix.OpenFiles() - 1_000) / 2;
    private static int _connections;
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Socket> _listeners = [];
    private readonly ILogger _logger;
    private readonly Task _accepting;
    private int[] _targets = [];
    private int _lives;
    private volatile bool _stopped;
    private long _warned;

    /// <exception cref="DistributedApplicationException">The port is taken.</exception>
    public TcpProxy(int port, ILogger logger)
    {
        _logger = logger;
        Listen(IPAddress.Loopback, port);
        if (Socket.OSSupportsIPv6)
        {
            // The name localhost often means ::1 first.
            Listen(IPAddress.IPv6Loopback, port);
        }

        _accepting = Task.WhenAll(_listeners.Select(AcceptAsync));
    }

    /// <summary>An instance is to run from now on, with starts anew in between.</summary>
    public void BeginLife()
    {
        Interlocked.Increment(ref _lives);
        _stopped = false;
    }

    /// <summary>The instance does not start again by itself.</summary>
    public void EndLife() => _stopped = Interlocked.Decrement(ref _lives) == 0;

    public void AddTarget(int port) => Change(targets => [.. targets, port]);

    public void RemoveTarget(int port) => Change(targets => [.. targets.Where(target => target != port)]);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listeners.ForEach(listener => listener.Dispose());
        await _accepting;
    }

    private void Listen(IPAddress address, int port)
    {
        var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        _listeners.Add(listener);
        try
        {
            listener.Bind(new IPEndPoint(address, port));
            listener.Listen(512);
        }
        catch (SocketException exception) when (address.Equals(IPAddress.IPv6Loopback) && exception.SocketErrorCode == SocketError.AddressNotAvailable)
        {
            // Version 6 is switched off on this machine.
            _listeners.Remove(listener);
            listener.Dispose();
        }
        catch (SocketException exception)
        {
            _listeners.ForEach(one => one.Dispose());
            throw new DistributedApplicationException($"Nothing can listen on port {port} of {address}: {exception.Message}. Start again, or choose another port.", exception);
        }
    }

    private void Change(Func<int[], int[]> change)
    {
        int[] before;
        do
        {
            before = Volatile.Read(ref _targets);
        }
        while (Interlocked.CompareExchange(ref _targets, change(before), before) != before);
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var client = await listener.AcceptAsync(_stopping.Token);
                _ = ServeAsync(client);
            }
            catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException exception)
            {
                // Too many open files, say: they stay too many for a while.
                _logger.LogWarning("A connection could not be accepted: {Reason}", exception.Message);
                await Task.Delay(AcceptDelay);
            }
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using (client)
        {
            try
            {
                if (Interlocked.Increment(ref _connections) > MostConnections)
                {
                    WarnOfTooMany();
                    client.Close(timeout: 0);
                    return;
                }

                client.NoDelay = true;
                using var instance = await ConnectAsync();
                if (instance is null)
                {
                    return;
                }

                await TcpRelay.RunAsync(client, instance, _stopping.Token);
            }
            catch (Exception exception) when (exception is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // One of the two ends has gone; the other learns it by the closing of its connection.
            }
            finally
            {
                Interlocked.Decrement(ref _connections);
            }
        }
    }

    private void WarnOfTooMany()
    {
        var last = Volatile.Read(ref _warned);
        if ((last == 0 || Stopwatch.GetElapsedTime(last) > WarningPace) && Interlocked.CompareExchange(ref _warned, Stopwatch.GetTimestamp(), last) == last)
        {
            _logger.LogWarning("Connections are closed at once: {Count} are open, as many as the limit of open files allows (ulimit -n).", MostConnections);
        }
    }

    private async Task<Socket?> ConnectAsync()
    {
        var waited = Stopwatch.StartNew();
        do
        {
            var targets = Volatile.Read(ref _targets);
            if (targets.Length > 0)
            {
                var target = targets[Random.Shared.Next(targets.Length)];
                if (await TryConnectAsync(IPAddress.Loopback, target) is { } instance)
                {
                    return instance;
                }

                // What listens on the name localhost may do so with version 6 alone, as Node.js does.
                if (Socket.OSSupportsIPv6 && await TryConnectAsync(IPAddress.IPv6Loopback, target) is { } other)
                {
                    return other;
                }
            }

            await Task.Delay(RetryDelay, _stopping.Token);
        }
        while (waited.Elapsed < Patience && !_stopped);

        if (_stopped)
        {
            return null;
        }

        _logger.LogWarning("No instance took a connection for {Seconds} s.", Patience.TotalSeconds);
        return null;
    }

    private async Task<Socket?> TryConnectAsync(IPAddress address, int port)
    {
        var instance = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            instance.NoDelay = true;
            await instance.ConnectAsync(new IPEndPoint(address, port), _stopping.Token);
            return instance;
        }
        catch (Exception exception)
        {
            instance.Dispose();
            if (exception is SocketException)
            {
                return null;
            }

            throw;
        }
    }
}
