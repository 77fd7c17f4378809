using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost.Running;

/// <summary>Runs a PostgreSQL server as a child process, in a folder of its own that outlives it.</summary>
/// <param name="binaries">The programs to run.</param>
/// <param name="data">Whose list of running processes the server joins.</param>
/// <param name="folder">Where this server keeps its databases, one sub-folder a major version.</param>
internal sealed class PostgresServer(PostgresBinaries binaries, DataFolder data, string folder, ILogger logger)
{
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(6);
    private readonly string _home = Path.Combine(folder, binaries.Major.ToString(CultureInfo.InvariantCulture));
    private readonly PostmasterFile _postmaster = new(Path.Combine(folder, binaries.Major.ToString(CultureInfo.InvariantCulture), "data"));
    private readonly Unix.User? _user = Unix.IsRoot
        ? Unix.UnprivilegedUser() ?? throw new DistributedApplicationException(
            "PostgreSQL refuses to run as root and this machine has neither an account 'postgres' nor 'nobody'. Start the AppHost as an ordinary user.")
        : null;

    private string Data => Path.Combine(_home, "data");

    private string PasswordFile => Path.Combine(_home, "password");

    /// <summary>Starts the server and returns when it takes connections.</summary>
    /// <exception cref="DistributedApplicationException">It did not start; the message says why.</exception>
    public async Task<ChildProcess> StartAsync(int port, string userName, string password, Action<string, bool> writeLine, CancellationToken ct)
    {
        Directory.CreateDirectory(_home);
        Own(folder);
        Own(_home);
        if (Directory.Exists(Data))
        {
            await StopLeftoverAsync(ct);
            await SetPasswordAsync(userName, password, ct);
        }
        else
        {
            await CreateAsync(userName, password, ct);
        }

        var process = await ChildProcess.StartAsync(
            Command("postgres",
                "-D", Data,
                "-c", "listen_addresses=localhost",
                "-c", $"port={port}",
                "-c", "unix_socket_directories=",
                "-c", "shared_buffers=64MB",
                "-c", "max_connections=300",
                "-c", "logging_collector=off"),
            writeLine, data.Leftovers, Unix.SigInt, _user);
        try
        {
            await WaitUntilReadyAsync(process, ct);
            return process;
        }
        catch
        {
            // Stopped while it starts, say: nobody else knows of it.
            await process.StopAsync(StopPatience);
            throw;
        }
    }

    private async Task CreateAsync(string userName, string password, CancellationToken ct)
    {
        logger.LogInformation("Creating a PostgreSQL {Major} database cluster.", binaries.Major);
        await WritePasswordAsync(password, ct);

        // Made aside and renamed, so that a killed start leaves no half of one.
        var unfinished = Data + ".tmp";
        if (Directory.Exists(unfinished))
        {
            Directory.Delete(unfinished, recursive: true);
        }

        string[] options = ["-D", unfinished, "-U", userName, $"--pwfile={PasswordFile}", "-A", "scram-sha-256", "-E", "UTF8"];
        await RunAsync("Creating the database cluster", "initdb", [.. options, OperatingSystem.IsLinux() ? "--locale=C.UTF-8" : "--locale=C"], ct);
        Directory.Move(unfinished, Data);
    }

    /// <summary>A folder may meet another password than it was made with, when user secrets were deleted, say: then it learns the new one.</summary>
    private async Task SetPasswordAsync(string userName, string password, CancellationToken ct)
    {
        if (File.Exists(PasswordFile) && await File.ReadAllTextAsync(PasswordFile, ct) == password)
        {
            return;
        }

        logger.LogInformation("The password differs from the one this data was made with: changing it in the data.");
        var command = Command("postgres", "--single", "-D", Data, "postgres");
        command.RedirectStandardInput = true;
        command.RedirectStandardOutput = true;
        command.RedirectStandardError = true;
        using var process = await Spawner.StartAsync(command, Unix.SigInt, _user);
        await process.StandardInput.WriteLineAsync(
            $"alter role \"{userName.Replace("\"", "\"\"", StringComparison.Ordinal)}\" password '{password.Replace("'", "''", StringComparison.Ordinal)}'".AsMemory(), ct);
        process.StandardInput.Close();
        var errors = await process.StandardError.ReadToEndAsync(ct);
        await process.WaitForExitAsync(ct);
        if (process.ExitCode != 0 || errors.Contains("ERROR", StringComparison.Ordinal))
        {
            throw new DistributedApplicationException(
                $"The data in {_home} has another password, and it could not be changed: {errors.Trim()} Start once with --reset-data to begin with empty databases.");
        }

        await WritePasswordAsync(password, ct);
    }

    private async Task WritePasswordAsync(string password, CancellationToken ct)
    {
        await DataFolder.WriteSecretAsync(PasswordFile, password, ct);
        Own(PasswordFile);
    }

    /// <summary>Stops a server of an earlier run that still works on this folder.</summary>
    private async Task StopLeftoverAsync(CancellationToken ct)
    {
        if (_postmaster.HoldsRunningServer())
        {
            await RunAsync("Stopping a leftover server", "pg_ctl", ["stop", "-D", Data, "-m", "fast", "-w"], ct);
        }
        else if (_postmaster.DeleteStale())
        {
            logger.LogInformation("The last run did not end in order; PostgreSQL recovers by itself.");
        }
    }

    private async Task WaitUntilReadyAsync(ChildProcess process, CancellationToken ct)
    {
        var deadline = Stopwatch.StartNew();
        while (!await _postmaster.IsReadyAsync(process.Id, ct))
        {
            if (process.Exited.IsCompleted)
            {
                throw new DistributedApplicationException($"PostgreSQL ended with exit code {await process.Exited} while starting: {process.LastWords}");
            }

            if (deadline.Elapsed > StartPatience)
            {
                throw new DistributedApplicationException($"PostgreSQL did not get ready within {StartPatience.TotalSeconds} s; its log says why.");
            }

            await Task.Delay(10, ct);
        }
    }

    private Task RunAsync(string purpose, string program, string[] arguments, CancellationToken ct) =>
        ChildProcess.RunAsync(Command(program, arguments), purpose, logger, data.Leftovers, _user, ct);

    private ProcessStartInfo Command(string program, params string[] arguments)
    {
        var command = new ProcessStartInfo(binaries.Program(program)) { WorkingDirectory = _home };
        foreach (var argument in arguments)
        {
            command.ArgumentList.Add(argument);
        }

        foreach (var name in command.Environment.Keys.Where(name => name.StartsWith("PG", StringComparison.Ordinal)).ToList())
        {
            command.Environment.Remove(name);
        }

        command.Environment["LC_ALL"] = "C";
        command.Environment["TZ"] = "UTC";
        return command;
    }

    private void Own(string path)
    {
        if (_user is not null)
        {
            Unix.ChangeOwner(path, _user);
        }
    }
}
