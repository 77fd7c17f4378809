namespace MobileIntegration.LocalHost.Running;

/// <summary>Finds programs on this machine.</summary>
internal static class Executables
{
    /// <summary>The dotnet program that runs assemblies.</summary>
    public static string DotNet { get; } =
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? Environment.ProcessPath! : Find("dotnet") ?? "dotnet";

    /// <summary>The full path of the program <paramref name="name"/> on the PATH, or null.</summary>
    public static string? Find(string name)
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        return folders.Select(folder => InFolder(folder, name)).FirstOrDefault(path => path is not null);
    }

    /// <summary>The program that a command line names: a path, from <paramref name="workingDirectory"/>, or the name of one on the PATH.</summary>
    /// <exception cref="DistributedApplicationException">It is not there.</exception>
    public static string Resolve(string command, string workingDirectory)
    {
        if (!Directory.Exists(workingDirectory))
        {
            throw new DistributedApplicationException($"'{command}' cannot be started: its working directory {workingDirectory} is not there.");
        }

        if (Path.GetFileName(command) == command)
        {
            return Find(command) ?? throw new DistributedApplicationException($"'{command}' cannot be started: there is no such program on the PATH. Install it, or give its path.");
        }

        var path = Path.GetFullPath(command, workingDirectory);
        return File.Exists(path) ? path : throw new DistributedApplicationException($"'{command}' cannot be started: there is no file {path}.");
    }

    /// <summary>The full path of the program <paramref name="name"/> in <paramref name="folder"/>, or null.</summary>
    public static string? InFolder(string folder, string name)
    {
        string[] endings = OperatingSystem.IsWindows() ? [".exe", ".cmd", ""] : [""];
        return endings.Select(ending => Path.Combine(folder, name + ending)).FirstOrDefault(File.Exists);
    }

    /// <summary>The folders that match a path whose segments may hold a <c>*</c>, such as <c>/usr/lib/postgresql/*/bin</c>.</summary>
    public static IEnumerable<string> Folders(string pattern)
    {
        var star = pattern.IndexOf('*', StringComparison.Ordinal);
        if (star < 0)
        {
            return Directory.Exists(pattern) ? [pattern] : [];
        }

        var parent = Path.GetDirectoryName(pattern[..star])!;
        var rest = pattern[(parent.Length + 1)..];
        var end = rest.IndexOfAny(['/', '\\']);
        var (segment, tail) = end < 0 ? (rest, "") : (rest[..end], rest[(end + 1)..]);

        return Directory.Exists(parent)
            ? Directory.EnumerateDirectories(parent, segment).Select(folder => Path.Combine(folder, tail)).Where(Directory.Exists)
            : [];
    }

    /// <summary>Whether every account may enter all folders above <paramref name="path"/>.</summary>
    public static bool AllUsersReach(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return true;
        }

        for (var folder = Directory.GetParent(Path.GetFullPath(path)); folder is not null; folder = folder.Parent)
        {
            if (folder.Exists && !folder.UnixFileMode.HasFlag(UnixFileMode.OtherExecute))
            {
                return false;
            }
        }

        return true;
    }
}
