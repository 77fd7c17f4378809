using System.Diagnostics;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// Where this AppHost keeps its data, by default the folder <c>.data</c> beside the AppHost's own folder. It can be deleted whenever the
/// AppHost is not running. One AppHost at a time works in it, so each checkout of a repository has its own.
/// </summary>
internal sealed class DataFolder : IDisposable
{
    private const string SessionFolder = "session";

    // What a reset deletes: nothing that the AppHost has not made, should the folder hold other things as well. Downloaded tools are no data.
    private static readonly string[] DataFolders = ["volumes", "telemetry", SessionFolder];
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(10);
    private readonly FileStream _lock;
    private readonly bool _temporary;

    /// <param name="path">The folder; made when it is not there.</param>
    /// <param name="reset">Deletes what an earlier run left in it first.</param>
    /// <param name="temporary">Deletes the folder at the end, as a test run wants it.</param>
    /// <exception cref="DistributedApplicationException">It cannot be used; the message says why and what to do.</exception>
    public DataFolder(string path, bool reset, bool temporary)
    {
        Root = Path.GetFullPath(path);
        _temporary = temporary;
        try
        {
            Directory.CreateDirectory(Root);
            _lock = TakeLock();
            Leftovers = new Leftovers(In("processes"));
            Delete(reset ? DataFolders : [SessionFolder]);
            if (reset)
            {
                File.Delete(In("ports.json"));
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Leftovers?.Dispose();
            _lock?.Dispose();
            throw Unusable(exception);
        }
    }

    public string Root { get; }

    public Leftovers Leftovers { get; }

    /// <summary>The path of a file or folder in the data folder.</summary>
    public string In(params string[] names) => Path.Combine([Root, .. names]);

    /// <summary>Writes a file that this account alone may read.</summary>
    public static async Task WriteSecretAsync(string path, string text, CancellationToken ct)
    {
        // Made anew, for a file that is there keeps its permissions.
        File.Delete(path);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        await using var writer = new StreamWriter(path, options);
        await writer.WriteAsync(text.AsMemory(), ct);
    }

    public void Dispose()
    {
        Leftovers.Dispose();
        try
        {
            Delete(SessionFolder);
        }
        finally
        {
            _lock.Dispose();
            if (_temporary)
            {
                Directory.Delete(Root, recursive: true);
            }
        }
    }

    /// <summary>What a failure to write in the folder means to whoever started the AppHost.</summary>
    private DistributedApplicationException Unusable(Exception exception) => new(
        $"The data folder {Root} cannot be used: {exception.Message} Make room or give yourself the right to change it, or choose another one with --data-folder PATH.",
        exception);

    private FileStream TakeLock()
    {
        var file = In("lock");
        var waited = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (waited.Elapsed < LockPatience)
            {
                Thread.Sleep(100);
            }
            catch (IOException exception) when (File.Exists(file))
            {
                throw new DistributedApplicationException(
                    $"Another AppHost is running on the data folder {Root}. Stop it, or give this one a folder of its own with --data-folder PATH.", exception);
            }
        }
    }

    private void Delete(params string[] folders)
    {
        foreach (var folder in folders.Select(name => In(name)).Where(Directory.Exists))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
