namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// Where this AppHost keeps its data, by default the folder <c>.data</c> beside the AppHost's own folder. It can be deleted whenever the
/// AppHost is not running. One AppHost at a time works in it, so each checkout of a repository has its own.
/// </summary>
internal sealed class DataFolder : IDisposable
{
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(10);
    private readonly FileStream _lock;
    private readonly bool _temporary;

    /// <param name="path">The folder; made when it is not there.</param>
    /// <param name="reset">Deletes what an earlier run left in it first.</param>
    /// <param name="temporary">Deletes the folder at the end, as a test run wants it.</param>
    public DataFolder(string path, bool reset, bool temporary)
    {
        Root = Path.GetFullPath(path);
        _temporary = temporary;
        Directory.CreateDirectory(Root);
        _lock = TakeLock();
        Leftovers = new Leftovers(In("processes"));
        if (reset)
        {
            Reset();
        }
    }

    public string Root { get; }

    public Leftovers Leftovers { get; }

    /// <summary>The path of a file or folder in the data folder.</summary>
    public string In(params string[] names) => Path.Combine([Root, .. names]);

    public void Dispose()
    {
        Leftovers.Dispose();
        _lock.Dispose();
        if (_temporary)
        {
            Directory.Delete(Root, recursive: true);
        }
    }

    private FileStream TakeLock()
    {
        var file = In("lock");
        var deadline = DateTime.UtcNow + LockPatience;
        while (true)
        {
            try
            {
                return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (DateTime.UtcNow < deadline)
            {
                Thread.Sleep(100);
            }
            catch (IOException exception)
            {
                throw new DistributedApplicationException(
                    $"Another AppHost is running on the data folder {Root}. Stop it, or give this one a folder of its own with --data-folder PATH.", exception);
            }
        }
    }

    private void Reset()
    {
        foreach (var folder in Directory.EnumerateDirectories(Root))
        {
            // Downloaded tools are no data.
            if (Path.GetFileName(folder) != "tools")
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        File.Delete(In("ports.json"));
    }
}
