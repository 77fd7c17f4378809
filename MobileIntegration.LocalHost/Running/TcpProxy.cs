using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// The unchanging address of a project's endpoint: takes connections on the public port and passes each to one of the running instances,
/// chosen at random. A connection that comes before an instance listens, or between two, waits for one.
/// </summary>
internal sealed class TcpProxy : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(50);
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Socket> _listeners = [];
    private readonly ILogger _logger;
    private readonly Task _accepting;
    private int[] _targets = [];

    /// <exception cref="SocketException">The port is taken.</exception>
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
        catch (SocketException)
        {
            _listeners.ForEach(one => one.Dispose());
            throw;
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
                _logger.LogWarning("A connection could not be accepted: {Reason}", exception.Message);
            }
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using (client)
        {
            try
            {
                client.NoDelay = true;
                using var instance = await ConnectAsync();
                if (instance is null)
                {
                    return;
                }

                await Task.WhenAll(PumpAsync(client, instance), PumpAsync(instance, client));
            }
            catch (Exception exception) when (exception is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // One of the two ends has gone; the other learns it by the closing of its connection.
            }
        }
    }

    private async Task<Socket?> ConnectAsync()
    {
        var deadline = DateTime.UtcNow + Patience;
        do
        {
            var targets = Volatile.Read(ref _targets);
            if (targets.Length > 0)
            {
                var instance = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                try
                {
                    await instance.ConnectAsync(new IPEndPoint(IPAddress.Loopback, targets[Random.Shared.Next(targets.Length)]), _stopping.Token);
                    return instance;
                }
                catch (SocketException)
                {
                    instance.Dispose();
                }
            }

            await Task.Delay(RetryDelay, _stopping.Token);
        }
        while (DateTime.UtcNow < deadline);

        _logger.LogWarning("No instance took a connection for {Seconds} s.", Patience.TotalSeconds);
        return null;
    }

    private async Task PumpAsync(Socket from, Socket to)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(32 * 1024);
        try
        {
            int read;
            while ((read = await from.ReceiveAsync(buffer, SocketFlags.None, _stopping.Token)) > 0)
            {
                for (var sent = 0; sent < read;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, read - sent), SocketFlags.None, _stopping.Token);
                }
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception)
        {
            // Broken on one side: the other pump must not wait for data that cannot come.
            from.Dispose();
            to.Dispose();
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
