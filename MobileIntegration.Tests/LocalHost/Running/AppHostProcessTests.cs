using System.Diagnostics;
using System.Globalization;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.Tests.LocalHost.Running;

/// <summary>The AppHost as a developer runs it: a process of its own.</summary>
public sealed class AppHostProcessTests : IAsyncLifetime
{
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan EndPatience = Eventually.Promised(10);
    private readonly string _data = Path.Combine(Path.GetTempPath(), $"apphost-{Guid.CreateVersion7():n}");
    private readonly List<AppHostProcess> _started = [];

    private string OtherData => $"{_data}-other";

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var data in (string[])[_data, OtherData])
        {
            var children = RunningChildren(data);
            foreach (var process in _started)
            {
                process.Kill();
            }

            // A database that is still ending writes into the folder.
            await AssertGoneAsync(children);
            if (Directory.Exists(data))
            {
                Directory.Delete(data, recursive: true);
            }
        }
    }

    [Fact]
    public async Task Ctrl_C_ends_every_process_and_the_next_start_is_clean()
    {
        var apphost = Start("--only", "frontend");
        await apphost.WaitForLineAsync("resources are healthy", StartPatience);
        var children = RunningChildren();
        Assert.True(children.Count >= 3);

        Unix.SignalTree(apphost.Id, Unix.SigInt);
        await apphost.Exited.WaitAsync(EndPatience);

        await AssertGoneAsync(children);
        await Start("--only", "frontend").WaitForLineAsync("resources are healthy", StartPatience);
    }

    [Fact]
    public async Task A_killed_AppHost_leaves_no_process_and_the_next_start_is_clean()
    {
        var apphost = Start("--only", "frontend");
        await apphost.WaitForLineAsync("resources are healthy", StartPatience);
        var children = RunningChildren();
        Assert.True(children.Count >= 3);

        apphost.Kill();

        await AssertGoneAsync(children);
        await Start("--only", "frontend").WaitForLineAsync("resources are healthy", StartPatience);
    }

    [Fact]
    public async Task An_AppHost_killed_while_it_starts_leaves_no_process_and_the_next_start_is_clean()
    {
        var apphost = Start("--only", "frontend");
        await Eventually.TrueAsync(() => RunningChildren().Count > 0, StartPatience);
        var children = RunningChildren();

        apphost.Kill();

        await AssertGoneAsync(children);
        await Start("--only", "frontend").WaitForLineAsync("resources are healthy", StartPatience);
    }

    [Fact]
    public async Task A_start_that_fails_when_processes_run_already_ends_them()
    {
        var apphost = Start("late-failure");

        Assert.NotEqual(0, await apphost.Exited.WaitAsync(StartPatience));

        Assert.Equal(["error: It failed when 'child' ran."], apphost.ErrorLines);
        var child = int.Parse(apphost.Lines.Single(line => line.Contains("child runs as ", StringComparison.Ordinal)).Split(' ')[^1], CultureInfo.InvariantCulture);
        await Eventually.TrueAsync(() => !IsAlive(child), EndPatience);
    }

    [Fact]
    public async Task Two_AppHosts_with_data_of_their_own_run_side_by_side()
    {
        string[] part = ["--only", "mobiledb,redis"];
        var (one, other) = (Start(part), new AppHostProcess(OtherData, part));
        _started.Add(other);
        await one.WaitForLineAsync("resources are healthy", StartPatience);
        await other.WaitForLineAsync("resources are healthy", StartPatience);

        one.Kill();
        await AssertGoneAsync(RunningChildren());

        var left = RunningChildren(OtherData).ConvertAll(CommandOf);
        Assert.Contains(left, command => command.Contains("postgres", StringComparison.Ordinal));
        Assert.Contains(left, command => command.Contains("redis", StringComparison.Ordinal) || command.Contains("Garnet", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task A_part_of_the_system_starts_with_what_it_needs_and_nothing_else()
    {
        await Start("--only", "push").WaitForLineAsync("resources are healthy", StartPatience);

        var commands = RunningChildren().ConvertAll(CommandOf);
        Assert.Single(commands, command => command.Contains("MobileServices.dll", StringComparison.Ordinal));
        Assert.Contains(commands, command => command.Contains("postgres", StringComparison.Ordinal));
        Assert.DoesNotContain(commands, command => command.Contains("Gateway.dll", StringComparison.Ordinal)
            || command.Contains("FrontendServices.dll", StringComparison.Ordinal) || command.Contains("BackendSystems.dll", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Databases_stay_over_starts_until_they_are_reset()
    {
        List<string> identities = [];
        foreach (var more in (string[][])[[], [], ["--reset-data"]])
        {
            var apphost = Start(["--only", "mobiledb", .. more]);
            await apphost.WaitForLineAsync("resources are healthy", StartPatience);
            // A cluster keeps the number that initdb gave it at the beginning of its control file.
            var control = Directory.GetFiles(Path.Combine(_data, "volumes", "postgres"), "pg_control", SearchOption.AllDirectories).Single();
            identities.Add(Convert.ToHexString(await File.ReadAllBytesAsync(control), 0, 8));
            Unix.SignalTree(apphost.Id, Unix.SigInt);
            await apphost.Exited.WaitAsync(EndPatience);
        }

        Assert.Equal(identities[0], identities[1]);
        Assert.NotEqual(identities[0], identities[2]);
    }

    [Fact]
    public async Task A_second_AppHost_on_the_same_data_is_refused()
    {
        await Start("--only", "redis").WaitForLineAsync("resources are healthy", StartPatience);

        var second = Start("--only", "redis");

        Assert.Contains("Another AppHost is running on the data folder", await FailureOf(second), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--only names 'gatway', which is not in the model. Valid: ", "--only", "gatway")]
    [InlineData("The setting Ports:gateway is 'x', which is not a port", "Ports:gateway=x")]
    [InlineData("The setting Postgres:Binaries is '/nowhere', which holds no PostgreSQL", "Postgres:Binaries=/nowhere")]
    [InlineData("The setting Redis:Server is '/nowhere', which is no file", "Redis:Server=/nowhere")]
    [InlineData("The setting Postgres:ConnectionString is no connection string", "Postgres:ConnectionString=nonsense")]
    [InlineData("The setting RestartPolicy is 'always'. Give 'on-failure' or 'never'", "RestartPolicy=always")]
    public async Task A_wrong_setting_is_one_line_that_says_the_mend(string message, params string[] args) =>
        Assert.Contains(message, await FailureOf(Start(args)), StringComparison.Ordinal);

    [Theory]
    [InlineData("cycle", "Nothing in a -> b -> a could ever start")]
    [InlineData("name", "'_' is not allowed")]
    [InlineData("parameter", "Parameters:missing")]
    public async Task A_wrong_model_is_one_line_that_says_the_mend(string model, string message) =>
        Assert.Contains(message, await FailureOf(Start(model)), StringComparison.Ordinal);

    [Fact]
    public async Task Damaged_user_secrets_are_one_line_that_says_the_mend()
    {
        var home = Directory.CreateDirectory(Path.Combine(_data, "home")).FullName;
        var folder = Directory.CreateDirectory(Path.Combine(home, ".microsoft", "usersecrets", "mobile-integration-apphost")).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "secrets.json"), "{ \"Parameters");
        var apphost = new AppHostProcess(_data, [], environment: [("HOME", home)]);
        _started.Add(apphost);

        var failure = await FailureOf(apphost);
        Assert.Contains(Path.Combine(folder, "secrets.json"), failure, StringComparison.Ordinal);
        Assert.Contains("LineNumber", failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_taken_port_is_one_line_that_says_the_mend()
    {
        using var taken = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        var port = ((System.Net.IPEndPoint)taken.LocalEndpoint).Port;

        var failure = await FailureOf(Start($"Ports:gateway:http={port}"));

        Assert.Contains($"Port {port} of 'gateway' (endpoint 'http') is taken by another process.", failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_machine_without_PostgreSQL_is_told_every_way_to_one()
    {
        await AssertTellsWaysOutAsync(Path.GetDirectoryName(Executables.DotNet)!);
    }

    [Fact]
    public async Task A_machine_whose_npm_cannot_fetch_PostgreSQL_is_told_why_and_every_way_to_one()
    {
        var folder = Directory.CreateDirectory(Path.Combine(_data, "bin")).FullName;
        var npm = Path.Combine(folder, "npm");
        await File.WriteAllTextAsync(npm, "#!/bin/sh\necho no network >&2\nexit 7\n");
        using (var chmod = Process.Start("chmod", ["+x", npm]))
        {
            await chmod.WaitForExitAsync();
        }

        var failure = await AssertTellsWaysOutAsync($"{folder}:/bin");

        Assert.Contains("exit code 7: no network", failure, StringComparison.Ordinal);
    }

    private async Task<string> AssertTellsWaysOutAsync(string path)
    {
        var apphost = new AppHostProcess(_data, ["Postgres:Binaries=npm"], environment: [("PATH", path)]);
        _started.Add(apphost);
        var failure = await FailureOf(apphost);
        foreach (var part in (string[])["There is no PostgreSQL on this machine.", "apt-get install", "Node.js", "Postgres__Binaries=", "Postgres__ConnectionString=", "UseAspire=true"])
        {
            Assert.Contains(part, failure, StringComparison.Ordinal);
        }

        return failure;
    }

    /// <summary>The system's own AppHost with these arguments, or the one of <see cref="WrongAppHosts"/> that has this name.</summary>
    private AppHostProcess Start(params string[] args)
    {
        var process = new AppHostProcess(_data, args, args is [var name] && WrongAppHosts.Names.Contains(name) ? typeof(WrongAppHosts).Assembly.Location : null);
        _started.Add(process);
        return process;
    }

    /// <summary>The one line on standard error of an AppHost that ended by itself with a failure and left nothing running.</summary>
    private async Task<string> FailureOf(AppHostProcess apphost)
    {
        Assert.NotEqual(0, await apphost.Exited.WaitAsync(StartPatience));
        var error = Assert.Single(apphost.ErrorLines);
        Assert.StartsWith("error: ", error, StringComparison.Ordinal);
        if (!error.Contains("Another AppHost", StringComparison.Ordinal))
        {
            Assert.Empty(RunningChildren());
        }

        return error;
    }

    /// <summary>The processes that the AppHost has written down, and those below them, that are alive.</summary>
    private List<int> RunningChildren(string? data = null)
    {
        var file = Path.Combine(data ?? _data, "processes");
        if (!File.Exists(file))
        {
            return [];
        }

        var listed = File.ReadAllLines(file).Select(line => int.Parse(line.Split(' ')[0])).ToHashSet();
        foreach (var process in Process.GetProcesses())
        {
            using (process)
            {
                if (listed.Contains(ParentOf(process.Id)))
                {
                    listed.Add(process.Id);
                }
            }
        }

        return [.. listed.Where(IsAlive)];
    }

    private static async Task AssertGoneAsync(List<int> processes) =>
        await Eventually.TrueAsync(() => !processes.Exists(IsAlive), EndPatience);

    private static string CommandOf(int pid) => File.ReadAllText($"/proc/{pid}/cmdline").Replace('\0', ' ');

    private static bool IsAlive(int pid) => StatOf(pid) is { } stat && stat.State != "Z";

    private static int ParentOf(int pid) => StatOf(pid)?.Parent ?? 0;

    private static (string State, int Parent)? StatOf(int pid)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{pid}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return (fields[0], int.Parse(fields[1]));
        }
        catch (IOException)
        {
            return null;
        }
    }
}
