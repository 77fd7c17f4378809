using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Configuration.UserSecrets;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost;

/// <summary>
/// The AppHost's user secrets file, where generated passwords are kept: a data folder must never meet a new password. Keeping is best effort: where it
/// fails the value still serves this run, and a warning says so.
/// </summary>
internal sealed class UserSecrets(string? path)
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(20);
    private readonly List<string> _warnings = [];
    private readonly Lock _warningsLock = new();
    private ILogger? _logger;

    /// <summary>Null when the AppHost has no user secrets id.</summary>
    public string? Path => path;

    /// <summary>The file of the assembly's <see cref="UserSecretsIdAttribute"/>.</summary>
    public static string? PathOf(Assembly? assembly) => assembly?.GetCustomAttribute<UserSecretsIdAttribute>() is { UserSecretsId: var id }
        ? PathHelper.GetSecretsPathFromSecretsId(id)
        : null;

    /// <summary>Warnings from before the application was built are written now.</summary>
    public void UseLogger(ILogger logger)
    {
        lock (_warningsLock)
        {
            _logger = logger;
            _warnings.ForEach(warning => logger.LogWarning("{Warning}", warning));
            _warnings.Clear();
        }
    }

    /// <summary>The kept value, or a new one that is kept from now on.</summary>
    public string GetOrAdd(string key, Func<string> generate)
    {
        if (path is null)
        {
            Warn($"'{key}' gets a new value on every start because the AppHost has no user secrets. Add <UserSecretsId> to its project file, or set it yourself.");
            return generate();
        }

        var value = (string?)null;
        try
        {
            using var alone = LockFile();
            var content = Read();
            if (Find(content, key) is { } kept)
            {
                return kept;
            }

            content[key] = value = generate();
            Write(content);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException)
        {
            Warn($"'{key}' could not be kept in {path} ({failure.Message}), so it gets a new value on every start. Correct or delete the file, or set the value yourself.");
        }

        return value ?? generate();
    }

    /// <summary>Keeps a value that somebody has given; false, and a warning, if that fails.</summary>
    public bool Set(string key, string value)
    {
        if (path is null)
        {
            Warn($"'{key}' is not kept because the AppHost has no user secrets. Add <UserSecretsId> to its project file.");
            return false;
        }

        try
        {
            using var alone = LockFile();
            var content = Read();
            content[key] = value;
            Write(content);
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException)
        {
            Warn($"'{key}' could not be kept in {path} ({failure.Message}). Correct or delete the file, or set the value yourself.");
            return false;
        }
    }

    // Two AppHosts that start at once must agree on a password: the second reads what the first has written.
    private FileStream LockFile()
    {
        var directory = System.IO.Path.GetDirectoryName(path!)!;
        Directory.CreateDirectory(directory);
        for (var deadline = DateTime.UtcNow + LockPatience; ;)
        {
            try
            {
                return new FileStream(System.IO.Path.Combine(directory, ".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (DateTime.UtcNow < deadline)
            {
                Thread.Sleep(LockPause);
            }
        }
    }

    private JsonObject Read()
    {
        if (!File.Exists(path))
        {
            return [];
        }

        var text = File.ReadAllText(path);
        var options = new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };
        return string.IsNullOrWhiteSpace(text)
            ? []
            : JsonNode.Parse(text, documentOptions: options) as JsonObject ?? throw new JsonException("it is not a JSON object");
    }

    // The file may hold "a:b" as a key or as an object in an object: both are the same configuration key.
    private static string? Find(JsonObject content, string key)
    {
        foreach (var (name, node) in content)
        {
            if (string.Equals(name, key, StringComparison.OrdinalIgnoreCase) && node is JsonValue value)
            {
                return value.ToString();
            }

            if (node is JsonObject inner && key.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase)
                && Find(inner, key[(name.Length + 1)..]) is { } found)
            {
                return found;
            }
        }

        return null;
    }

    private void Write(JsonObject content)
    {
        var directory = System.IO.Path.GetDirectoryName(path!)!;
        var replacement = System.IO.Path.Combine(directory, $".secrets.{Guid.NewGuid():n}.tmp");
        try
        {
            var access = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
            {
                access.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            using (var stream = new FileStream(replacement, access))
            {
                JsonSerializer.Serialize(stream, content, Indented);
                stream.Flush(flushToDisk: true);
            }

            File.Move(replacement, path!, overwrite: true);
        }
        finally
        {
            File.Delete(replacement);
        }
    }

    private void Warn(string warning)
    {
        lock (_warningsLock)
        {
            if (_logger is null)
            {
                _warnings.Add(warning);
                return;
            }
        }

        _logger.LogWarning("{Warning}", warning);
    }
}
