using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.Tests.LocalHost.Running;

public sealed class TcpProxyTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly Ports _ports = new(new ConfigurationBuilder().Build(), "", random: true);
    private readonly TcpListener _server = new(IPAddress.Loopback, 0);
    private readonly TcpProxy _proxy;
    private readonly int _port;

    public TcpProxyTests()
    {
        _port = _ports.Target();
        _proxy = new TcpProxy(_port, NullLogger.Instance);
        _server.Start();
    }

    private int ServerPort => ((IPEndPoint)_server.LocalEndpoint).Port;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        _server.Dispose();
    }

    [Fact]
    public async Task A_connection_that_comes_early_waits_for_an_instance()
    {
        using var client = await ConnectAsync();
        await client.GetStream().WriteAsync("early"u8.ToArray());

        _proxy.AddTarget(ServerPort);

        using var server = await AcceptAsync();
        Assert.Equal("early", await ReadAsync(server, 5));
    }

    [Fact]
    public async Task A_connection_is_closed_when_all_instances_have_been_stopped_and_waits_again_when_one_is_to_start()
    {
        _proxy.BeginLife();
        _proxy.BeginLife();
        _proxy.EndLife();
        using var patient = await ConnectAsync();
        _proxy.EndLife();
        Assert.Equal("", await ReadAsync(patient, 1));
        using var late = await ConnectAsync();
        Assert.Equal("", await ReadAsync(late, 1));

        _proxy.BeginLife();
        using var client = await ConnectAsync();
        await client.GetStream().WriteAsync("early"u8.ToArray());
        _proxy.AddTarget(ServerPort);

        using var server = await AcceptAsync();
        Assert.Equal("early", await ReadAsync(server, 5));
    }

    [Fact]
    public async Task A_client_that_has_sent_all_still_gets_the_answer()
    {
        _proxy.AddTarget(ServerPort);
        using var client = await ConnectAsync();
        using var server = await AcceptAsync();
        await client.GetStream().WriteAsync("ask"u8.ToArray());
        client.Client.Shutdown(SocketShutdown.Send);
        Assert.Equal("ask", await ReadAsync(server, 3));
        Assert.Equal("", await ReadAsync(server, 1));

        await server.GetStream().WriteAsync("answer"u8.ToArray());

        Assert.Equal("answer", await ReadAsync(client, 6));
    }

    [Fact]
    public async Task A_broken_connection_is_not_taken_for_one_that_has_ended()
    {
        _proxy.AddTarget(ServerPort);
        using var client = await ConnectAsync();
        var server = await AcceptAsync();
        await server.GetStream().WriteAsync("half"u8.ToArray());
        Assert.Equal("half", await ReadAsync(client, 4));

        server.Client.Close(timeout: 0);

        await Assert.ThrowsAsync<SocketException>(() => ReadAsync(client, 1));
    }

    [Fact]
    public async Task A_dead_instance_among_others_takes_no_connection()
    {
        _proxy.AddTarget(_ports.Target());
        _proxy.AddTarget(ServerPort);

        for (var i = 0; i < 8; i++)
        {
            using var client = await ConnectAsync();
            using var server = await AcceptAsync();
        }
    }

    [Fact]
    public async Task An_instance_that_listens_with_version_6_alone_is_reached()
    {
        using var server = new TcpListener(IPAddress.IPv6Loopback, 0);
        server.Start();
        _proxy.AddTarget(((IPEndPoint)server.LocalEndpoint).Port);

        using var client = await ConnectAsync();

        using var accepted = await server.AcceptTcpClientAsync().WaitAsync(Patience);
    }

    [Fact]
    public async Task A_sender_is_held_back_by_a_reader_that_does_not_read()
    {
        _proxy.AddTarget(ServerPort);
        using var client = await ConnectAsync();
        using var server = await AcceptAsync();
        client.Client.Blocking = false;
        var chunk = new byte[64 * 1024];
        long sent = 0;

        // The buffers of four sockets are full in the end; without back-pressure they never are.
        await Eventually.TrueAsync(
            () =>
            {
                for (var i = 0; i < 100; i++)
                {
                    try
                    {
                        sent += client.Client.Send(chunk);
                    }
                    catch (SocketException exception) when (exception.SocketErrorCode == SocketError.WouldBlock)
                    {
                        return true;
                    }
                }

                return false;
            },
            Patience);

        Assert.InRange(sent, 1, 100_000_000);
    }

    [Fact]
    public void A_taken_port_is_told_in_one_line()
    {
        var failure = Assert.Throws<DistributedApplicationException>(() => new TcpProxy(ServerPort, NullLogger.Instance));

        Assert.Contains($"Nothing can listen on port {ServerPort}", failure.Message, StringComparison.Ordinal);
    }

    private async Task<TcpClient> ConnectAsync()
    {
        var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, _port);
        return client;
    }

    private Task<TcpClient> AcceptAsync() => _server.AcceptTcpClientAsync().WaitAsync(Patience);

    private static async Task<string> ReadAsync(TcpClient client, int count)
    {
        var buffer = new byte[count];
        var read = 0;
        while (read < count && await client.Client.ReceiveAsync(buffer.AsMemory(read)).AsTask().WaitAsync(Patience) is > 0 and var more)
        {
            read += more;
        }

        return Encoding.ASCII.GetString(buffer, 0, read);
    }
}
