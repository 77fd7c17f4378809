using System.Diagnostics;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.Tests.LocalHost.Running;

/// <summary>The AppHost as a developer runs it: a process of its own.</summary>
public sealed class AppHostProcessTests : IAsyncLifetime
{
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(60);
    private readonly string _data = Path.Combine(Path.GetTempPath(), $"apphost-{Guid.CreateVersion7():n}");
    private readonly List<AppHostProcess> _started = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        var children = RunningChildren();
        foreach (var process in _started)
        {
            process.Kill();
        }

        // A database that is still ending writes into the folder.
        await AssertGoneAsync(children);
        if (Directory.Exists(_data))
        {
            Directory.Delete(_data, recursive: true);
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
        var apphost = new AppHostProcess(_data, ["Postgres:Binaries=npm"], path: Path.GetDirectoryName(Executables.DotNet)!);
        _started.Add(apphost);

        var failure = await FailureOf(apphost);

        Assert.Contains("There is no PostgreSQL on this machine.", failure, StringComparison.Ordinal);
        Assert.Contains("Postgres__ConnectionString", failure, StringComparison.Ordinal);
    }

    private AppHostProcess Start(params string[] args)
    {
        var process = new AppHostProcess(_data, args);
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
    private List<int> RunningChildren()
    {
        var file = Path.Combine(_data, "processes");
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
