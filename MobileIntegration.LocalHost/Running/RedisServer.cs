using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Reflection;
using System.Text;
using System.Text.Json;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// Runs a Redis-compatible server as a child process: what the setting <c>Redis:Server</c> names (<c>redis</c>, <c>garnet</c> or a path),
/// else an installed redis-server or valkey-server, else Garnet, which came with the AppHost's packages.
/// </summary>
internal sealed class RedisServer(string? setting, DataFolder data, string folder, TimeSpan? saveInterval)
{
    private static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(6);

    /// <exception cref="DistributedApplicationException">There is no server to run; the message names every way out.</exception>
    public void Find() => _ = FindRedis() ?? GarnetAssembly();

    /// <summary>Starts the server and returns when it takes connections.</summary>
    /// <exception cref="DistributedApplicationException">It did not start; the message says why.</exception>
    public async Task<ChildProcess> StartAsync(int port, string? password, Action<string, bool> writeLine, CancellationToken ct)
    {
        Directory.CreateDirectory(folder);
        var command = FindRedis() is { } redis ? await RedisCommandAsync(redis, port, password, ct) : await GarnetCommandAsync(port, password, ct);
        command.WorkingDirectory = folder;
        var process = await ChildProcess.StartAsync(command, writeLine, data.Leftovers);
        try
        {
            await WaitUntilReadyAsync(process, port, password, ct);
            return process;
        }
        catch
        {
            // Stopped while it starts, say: nobody else knows of it.
            await process.StopAsync(StopPatience);
            throw;
        }
    }

    private string? FindRedis() => setting switch
    {
        null or "" => Executables.Find("redis-server") ?? Executables.Find("valkey-server"),
        "garnet" => null,
        "redis" => Executables.Find("redis-server") ?? Executables.Find("valkey-server") ?? throw new DistributedApplicationException(
            "The setting Redis:Server is 'redis', but neither redis-server nor valkey-server is on the PATH. Install one, or set Redis__Server=garnet."),
        var path => File.Exists(path) ? path : throw new DistributedApplicationException(
            $"The setting Redis:Server is '{path}', which is no file. Give the path of redis-server, or 'redis' or 'garnet'."),
    };

    private async Task<ProcessStartInfo> RedisCommandAsync(string program, int port, string? password, CancellationToken ct)
    {
        List<string> lines =
        [
            "bind 127.0.0.1 -::1",
            $"port {port}",
            $"dir {Quoted(folder)}",
            "save \"\"",
            $"appendonly {(saveInterval is null ? "no" : "yes")}",
            "appendfsync everysec",
        ];
        if (password is not null)
        {
            lines.Add($"requirepass {Quoted(password)}");
        }

        return new ProcessStartInfo(program) { ArgumentList = { await WriteSecretAsync("redis.conf", lines, ct) } };
    }

    private async Task<ProcessStartInfo> GarnetCommandAsync(int port, string? password, CancellationToken ct)
    {
        var command = new ProcessStartInfo(Executables.DotNet)
        {
            ArgumentList =
            {
                GarnetAssembly(),
                "--port", port.ToString(CultureInfo.InvariantCulture),
                "--bind", "127.0.0.1",
                "--device-type", "RandomAccess",
                // Scripts are atomic, as Redis runs them; Garnet's own default is that two run at once.
                "--lua", "--lua-transaction-mode",
                "--memory", "256m", "--page", "1m", "--index", "4m",
            },
        };
        if (saveInterval is not null)
        {
            foreach (var argument in (string[])["--aof", "--aof-memory", "32m", "--aof-page-size", "8m", "--aof-size-limit", "64m", "--recover", "--checkpointdir", folder])
            {
                command.ArgumentList.Add(argument);
            }
        }

        if (password is not null)
        {
            // Not on the command line, which every account of the machine can read.
            var config = await WriteSecretAsync("garnet.json", [JsonSerializer.Serialize(new { AuthenticationMode = "Password", Password = password })], ct);
            command.ArgumentList.Add("--config-import-path");
            command.ArgumentList.Add(config);
        }

        command.Environment["DOTNET_gcServer"] = "0";
        command.Environment["DOTNET_gcConcurrent"] = "0";
        return command;
    }

    private static string GarnetAssembly()
    {
        var path = Assembly.GetExecutingAssembly().GetCustomAttributes<AssemblyMetadataAttribute>().FirstOrDefault(one => one.Key == "garnetserver")?.Value;
        return File.Exists(path) ? path : throw new DistributedApplicationException(
            "There is no Redis-compatible server on this machine. Do one of these: install redis-server or valkey-server; run 'dotnet restore', which fetches Garnet; name a program with Redis__Server=PATH; use a server that is running already with Redis__ConnectionString=\"host:port,password=..\".");
    }

    private async Task<string> WriteSecretAsync(string name, IEnumerable<string> lines, CancellationToken ct)
    {
        var path = Path.Combine(folder, name);
        await DataFolder.WriteSecretAsync(path, string.Join('\n', lines) + '\n', ct);
        return path;
    }

    /// <summary>A value in the server's configuration file, whatever it holds.</summary>
    private static string Quoted(string value) =>
        $"\"{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";

    private static async Task WaitUntilReadyAsync(ChildProcess process, int port, string? password, CancellationToken ct)
    {
        var deadline = Stopwatch.StartNew();
        while (!await AnswersAsync(port, password, ct))
        {
            if (process.Exited.IsCompleted)
            {
                throw new DistributedApplicationException($"The Redis server ended with exit code {await process.Exited} while starting: {process.LastWords}");
            }

            if (deadline.Elapsed > StartPatience)
            {
                throw new DistributedApplicationException($"The Redis server did not get ready within {StartPatience.TotalSeconds} s; its log says why.");
            }

            await Task.Delay(20, ct);
        }
    }

    /// <summary>Whether the server answers PING; one that is still loading its data refuses to, though it takes connections.</summary>
    private static async Task<bool> AnswersAsync(int port, string? password, CancellationToken ct)
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync("127.0.0.1", port, ct);
            await using var stream = client.GetStream();
            var login = password is null ? "" : string.Create(CultureInfo.InvariantCulture, $"*2\r\n$4\r\nAUTH\r\n${Encoding.UTF8.GetByteCount(password)}\r\n{password}\r\n");
            await stream.WriteAsync(Encoding.UTF8.GetBytes($"{login}*1\r\n$4\r\nPING\r\n"), ct);
            using var reader = new StreamReader(stream);
            var answer = await reader.ReadLineAsync(ct).AsTask().WaitAsync(AnswerPatience, ct);
            if (password is not null && answer == "+OK")
            {
                answer = await reader.ReadLineAsync(ct).AsTask().WaitAsync(AnswerPatience, ct);
            }

            return answer == "+PONG";
        }
        catch (Exception exception) when (exception is SocketException or IOException or TimeoutException)
        {
            return false;
        }
    }
}
