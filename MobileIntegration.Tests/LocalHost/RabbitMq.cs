using System.Diagnostics;
using System.Globalization;
using MobileIntegration.LocalHost.Running;
using RabbitMQ.Client;

namespace MobileIntegration.Tests;

/// <summary>A RabbitMQ server of its own on 127.0.0.1, from the system's package, with its data in a temporary folder.</summary>
public sealed class RabbitMq : IAsyncLifetime
{
    private const string Program = "/usr/lib/rabbitmq/bin/rabbitmq-server";
    private readonly DataFolder _data = new(Path.Combine(Path.GetTempPath(), $"rabbitmq-{Guid.CreateVersion7():n}"), reset: false, temporary: true);
    private readonly int[] _ports = [.. Enumerable.Range(0, 3).Select(_ => TestServices.FreePort())];
    private ChildProcess? _mapper;
    private ChildProcess? _server;

    public Uri Address => new(string.Create(CultureInfo.InvariantCulture, $"amqp://guest:guest@127.0.0.1:{_ports[0]}/"));

    public async Task InitializeAsync()
    {
        Assert.True(File.Exists(Program), "RabbitMQ is missing: apt-get install rabbitmq-server");
        // Erlang's own would stay when the server has ended.
        _mapper = await StartAsync("epmd", "-address", "127.0.0.1", "-port", $"{_ports[2]}");
        await StartServerAsync();
    }

    public async Task DisposeAsync()
    {
        await _server!.StopAsync(TimeSpan.FromSeconds(20));
        await _mapper!.StopAsync(TimeSpan.FromSeconds(5));
        _data.Dispose();
    }

    /// <summary>Ends the server with SIGKILL and starts it again on its data.</summary>
    /// <param name="meanwhile">What is done while there is none.</param>
    public Task KillAsync(Func<Task>? meanwhile = null) => RestartAsync(TimeSpan.Zero, meanwhile);

    /// <summary>The same with an end in order.</summary>
    public Task RestartAsync() => RestartAsync(TimeSpan.FromSeconds(20));

    private async Task RestartAsync(TimeSpan grace, Func<Task>? meanwhile = null)
    {
        await _server!.StopAsync(grace);
        try
        {
            await (meanwhile?.Invoke() ?? Task.CompletedTask);
        }
        finally
        {
            await StartServerAsync();
        }
    }

    public async Task<IConnection> ConnectAsync() => await new ConnectionFactory { Uri = Address, AutomaticRecoveryEnabled = false }.CreateConnectionAsync();

    private async Task StartServerAsync()
    {
        _server = await StartAsync(Program);
        await Eventually.TrueAsync(
            async () =>
            {
                Assert.False(_server.Exited.IsCompleted, _server.LastWords);
                try
                {
                    await using var connection = await ConnectAsync();
                    return true;
                }
                catch (RabbitMQ.Client.Exceptions.BrokerUnreachableException)
                {
                    return false;
                }
            },
            TimeSpan.FromMinutes(2));
    }

    private Task<ChildProcess> StartAsync(string program, params string[] arguments)
    {
        var home = Directory.CreateDirectory(_data.In("home")).FullName;
        var command = new ProcessStartInfo(program, arguments) { WorkingDirectory = home };
        foreach (var (name, value) in new[]
        {
            ("HOME", home), ("RABBITMQ_NODENAME", "test@localhost"), ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1"), ("RABBITMQ_NODE_PORT", $"{_ports[0]}"),
            ("RABBITMQ_DIST_PORT", $"{_ports[1]}"), ("ERL_EPMD_PORT", $"{_ports[2]}"), ("ERL_EPMD_ADDRESS", "127.0.0.1"), ("RABBITMQ_MNESIA_BASE", _data.In("data")),
            ("RABBITMQ_LOG_BASE", _data.In("log")), ("RABBITMQ_LOGS", "-"), ("RABBITMQ_ENABLED_PLUGINS_FILE", Path.Combine(home, "plugins")),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null"), ("RABBITMQ_CONFIG_FILE", Path.Combine(home, "none")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}"),
        })
        {
            command.Environment[name] = value;
        }
        return ChildProcess.StartAsync(command, (_, _) => { }, _data.Leftovers);
    }
}
