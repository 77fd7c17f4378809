using System.Buffers;
using System.Net.Sockets;

namespace MobileIntegration.LocalHost.Running;

/// <summary>Passes bytes between two connections, both ways, until both have ended, or one has broken.</summary>
internal static class TcpRelay
{
    /// <summary>The end of one side's sending ends the other's receiving, no more; a side that breaks breaks the other. Reads no faster than the other side takes.</summary>
    public static Task RunAsync(Socket one, Socket other, CancellationToken ct) => Task.WhenAll(PumpAsync(one, other, ct), PumpAsync(other, one, ct));

    private static async Task PumpAsync(Socket from, Socket to, CancellationToken ct)
    {
        try
        {
            while (true)
            {
                // Kept connections are silent most of the time, and hold no buffer then.
                await from.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, ct);
                if (!await PassAsync(from, to, ct))
                {
                    break;
                }
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception)
        {
            // Broken on one side: the other pump must not wait for data that cannot come, and the other side must not take it for a proper end.
            from.Close(timeout: 0);
            to.Close(timeout: 0);
            throw;
        }
    }

    /// <returns>False when there is no more to come.</returns>
    private static async Task<bool> PassAsync(Socket from, Socket to, CancellationToken ct)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(32 * 1024);
        try
        {
            do
            {
                var read = await from.ReceiveAsync(buffer, SocketFlags.None, ct);
                if (read == 0)
                {
                    return false;
                }

                for (var sent = 0; sent < read;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, read - sent), SocketFlags.None, ct);
                }
            }
            while (from.Available > 0);

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
