using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.Tests.LocalHost.Running;

/// <summary>What is kept between runs: the folder, the ports, the list of processes; and what happens when it is wrong.</summary>
public sealed class DataFolderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("data-").FullName;

    private string PortsFile => Path.Combine(_folder, "ports.json");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_reset_deletes_the_data_and_nothing_else_in_the_folder()
    {
        Write("volumes/postgres/file");
        Write("photos/file");

        new DataFolder(_folder, reset: true, temporary: false).Dispose();

        Assert.False(Directory.Exists(Path.Combine(_folder, "volumes")));
        Assert.True(File.Exists(Path.Combine(_folder, "photos", "file")));
    }

    [Fact]
    public void A_folder_that_cannot_be_used_is_told_in_one_line_with_the_way_out()
    {
        Write("file");

        var failure = Assert.Throws<DistributedApplicationException>(() => new DataFolder(Path.Combine(_folder, "file", "below"), reset: false, temporary: false));

        Assert.Contains("--data-folder PATH", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', StartErrors.MessageOf(failure)!);
    }

    [Fact]
    public async Task Processes_of_an_earlier_run_end_and_strangers_with_their_number_do_not()
    {
        using var ours = Process.Start("sleep", "1000");
        using var stranger = Process.Start("sleep", "1000");
        await File.WriteAllLinesAsync(
            Path.Combine(_folder, "processes"),
            [
                "garbage", "", "-1 15 x", "1 15", $"{stranger.Id} 15 another-boot/123", $"{ours.Id} 15 {ProcessTree.IdentityOf(ours.Id)}",
            ]);

        new DataFolder(_folder, reset: false, temporary: false).Dispose();

        await ours.WaitForExitAsync(new CancellationTokenSource(TimeSpan.FromSeconds(20)).Token);
        Assert.False(stranger.HasExited);
        stranger.Kill();
    }

    [Fact]
    public void A_damaged_list_of_ports_means_new_ports()
    {
        foreach (var text in (string[])["{ \"a/http\": 12", "null", "[1]", "{ \"a/http\": 70000, \"b/http\": -5 }"])
        {
            File.WriteAllText(PortsFile, text);
            Assert.InRange(PortsOf().Public("a", "http", null), 10000, 32767);
        }
    }

    [Fact]
    public void A_kept_port_gives_way_to_a_fixed_one_of_another_resource()
    {
        var port = PortsOf().Target();
        File.WriteAllText(PortsFile, JsonSerializer.Serialize(new Dictionary<string, int> { ["first/http"] = port }));
        var ports = PortsOf(("Ports:second", $"{port}"));

        Assert.NotEqual(port, ports.Public("first", "http", null));
        Assert.Equal(port, ports.Public("second", "http", null));
    }

    [Fact]
    public void Ports_are_the_same_after_a_restart_and_target_ports_can_be_had_again()
    {
        var before = PortsOf();
        var port = before.Public("first", "http", null);
        before.Keep();
        Assert.Equal(port, PortsOf().Public("first", "http", null));

        // More than there are in all.
        for (var i = 0; i < 25_000; i++)
        {
            before.Release(before.Target());
        }
    }

    [Fact]
    public void The_file_of_a_killed_server_does_not_make_a_stranger_of_its_number_the_server()
    {
        var file = new PostmasterFile(_folder);
        File.WriteAllText(Path.Combine(_folder, "postmaster.pid"), $"{Environment.ProcessId}\n{_folder}\n");

        Assert.False(file.HoldsRunningServer());
        Assert.True(file.DeleteStale());
        Assert.False(file.DeleteStale());
    }

    [Fact]
    public async Task A_test_run_deletes_its_own_folder_and_keeps_one_that_is_named()
    {
        var named = Path.Combine(_folder, "named");
        await using (var model = new RunningModel("--data-folder", named))
        {
            model.Shell("one", "exec sleep 1000");
            await model.StartAsync();
            Assert.True(Directory.Exists(named));
        }

        Assert.True(Directory.Exists(named));

        string made;
        await using (var model = new RunningModel())
        {
            made = model.Builder.Configuration[RunningSettings.TemporaryFolder]!;
            await model.StartAsync();
            Assert.True(Directory.Exists(made));
        }

        Assert.False(Directory.Exists(made));
    }

    [Fact]
    public async Task A_server_stopped_while_it_starts_leaves_no_process()
    {
        await using var model = new RunningModel("--data-folder", _folder);
        model.Builder.AddPostgres("postgres");
        model.Builder.AddRedis("redis");
        await model.StartAsync();
        await Eventually.TrueAsync(() => Listed().Count > 0, RunningModel.Patience);

        await model.CommandAsync("postgres", KnownResourceCommands.StopCommand);
        await model.CommandAsync("redis", KnownResourceCommands.StopCommand);

        Assert.Empty(Listed());
    }

    private List<string> Listed() =>
        File.Exists(Path.Combine(_folder, "processes")) ? [.. File.ReadAllLines(Path.Combine(_folder, "processes"))] : [];

    private Ports PortsOf(params (string Key, string Value)[] settings) =>
        new(
            new ConfigurationBuilder().AddInMemoryCollection(settings.ToDictionary(setting => setting.Key, string? (setting) => setting.Value)).Build(),
            PortsFile, random: false);

    private void Write(string file)
    {
        var path = Path.Combine(_folder, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "");
    }
}
