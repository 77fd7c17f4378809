using System.Collections.Concurrent;

namespace IntegrationServices.Connectors;

/// <summary>
/// A folder where another system drops CSV files. A file that has stopped growing is claimed by its rename into <c>.claimed</c>, which of several
/// processes one can do; finished ones go to <c>.done</c>, those that cannot be read to <c>.failed</c>. Names that begin with a full stop are not looked at.
/// </summary>
internal sealed class DropFolder(string path, TimeSpan settle, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, (long Length, DateTime Written)> _seen = new(StringComparer.Ordinal);

    public string Path { get; } = path;

    private string Claimed => System.IO.Path.Combine(Path, ".claimed");

    private string Done => System.IO.Path.Combine(Path, ".done");

    private string Failed => System.IO.Path.Combine(Path, ".failed");

    public void Make()
    {
        foreach (var folder in (string[])[Path, Claimed, Done, Failed])
        {
            Directory.CreateDirectory(folder);
        }
    }

    /// <summary>Claims what is whole.</summary>
    /// <returns>The names of all that is claimed, in order; also what a process left that died.</returns>
    public IReadOnlyList<string> Claim()
    {
        var files = new DirectoryInfo(Path).EnumerateFiles("*.csv", new EnumerationOptions { MatchCasing = MatchCasing.CaseInsensitive, AttributesToSkip = FileAttributes.None })
            .Where(file => !file.Name.StartsWith('.')).ToList();
        foreach (var gone in _seen.Keys.Except(files.Select(file => file.Name)).ToList())
        {
            _seen.TryRemove(gone, out _);
        }
        foreach (var file in files.Where(IsWhole))
        {
            // Another process may have been quicker, or one of this name may still be at work.
            Try(() => file.MoveTo(System.IO.Path.Combine(Claimed, file.Name)));
        }
        return [.. new DirectoryInfo(Claimed).EnumerateFiles().Select(file => file.Name).Order(StringComparer.Ordinal)];
    }

    public bool IsClaimed(string name) => File.Exists(System.IO.Path.Combine(Claimed, name));

    public FileStream Open(string name) => new(System.IO.Path.Combine(Claimed, name), FileMode.Open, FileAccess.Read, FileShare.Read, 64 * 1024, useAsync: true);

    public void Finish(string name) => File.Move(System.IO.Path.Combine(Claimed, name), System.IO.Path.Combine(Done, name), overwrite: true);

    /// <summary>The name under which a file fails: its own, or with a number when another failed under it.</summary>
    public string FailedName(string name)
    {
        var (stem, failed) = (System.IO.Path.GetFileNameWithoutExtension(name), name);
        for (var number = 2; File.Exists(System.IO.Path.Combine(Failed, failed)); number++)
        {
            failed = $"{stem}~{number}.csv";
        }
        return failed;
    }

    public void Fail(string name, string failedName) => File.Move(System.IO.Path.Combine(Claimed, name), System.IO.Path.Combine(Failed, failedName));

    /// <summary>Drops a file anew that could not be read.</summary>
    /// <returns>False when it is not there.</returns>
    public bool Return(string name) => Try(() => File.Move(System.IO.Path.Combine(Failed, name), System.IO.Path.Combine(Path, name)));

    /// <summary>Deletes finished files.</summary>
    public void Prune(TimeSpan keep)
    {
        foreach (var file in new DirectoryInfo(Done).EnumerateFiles().Where(file => time.GetUtcNow() - file.LastWriteTimeUtc > keep))
        {
            file.Delete();
        }
    }

    /// <summary>Between two looks it has not grown, and for a while nobody wrote.</summary>
    private bool IsWhole(FileInfo file)
    {
        var now = (file.Length, file.LastWriteTimeUtc);
        var isAsBefore = _seen.TryGetValue(file.Name, out var before) && before == now;
        _seen[file.Name] = now;
        return isAsBefore && time.GetUtcNow() - file.LastWriteTimeUtc >= settle;
    }

    private static bool Try(Action move)
    {
        try
        {
            move();
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
