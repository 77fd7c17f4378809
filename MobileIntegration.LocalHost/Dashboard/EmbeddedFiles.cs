using System.Reflection;
using System.Text;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Primitives;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>The web root: the files that the build has put into the assembly, so that they are there however the AppHost is run.</summary>
internal sealed class EmbeddedFiles(Assembly assembly) : IFileProvider
{
    // Blazor reads the scripts to load before it starts from this file.
    private static readonly string Modules = $"{typeof(EmbeddedFiles).Assembly.GetName().Name}.modules.json";
    private static readonly byte[] ModulesContent =
        Encoding.UTF8.GetBytes("""["_content/Microsoft.FluentUI.AspNetCore.Components/Microsoft.FluentUI.AspNetCore.Components.lib.module.js"]""");

    private readonly HashSet<string> _names = [.. assembly.GetManifestResourceNames()];
    private readonly DateTimeOffset _modified = File.GetLastWriteTimeUtc(assembly.Location);

    public IDirectoryContents GetDirectoryContents(string subpath) => NotFoundDirectoryContents.Singleton;

    public IFileInfo GetFileInfo(string subpath)
    {
        var path = subpath.TrimStart('/');
        if (path == Modules)
        {
            return new EmbeddedFile(path, () => new MemoryStream(ModulesContent), ModulesContent.Length, _modified);
        }

        var name = $"wwwroot/{path}";
        if (!_names.Contains(name))
        {
            return new NotFoundFileInfo(path);
        }

        using var content = assembly.GetManifestResourceStream(name)!;
        return new EmbeddedFile(path, () => assembly.GetManifestResourceStream(name)!, content.Length, _modified);
    }

    public IChangeToken Watch(string filter) => NullChangeToken.Singleton;

    private sealed class EmbeddedFile(string path, Func<Stream> open, long length, DateTimeOffset modified) : IFileInfo
    {
        public bool Exists => true;

        public long Length => length;

        public string? PhysicalPath => null;

        public string Name => Path.GetFileName(path);

        public DateTimeOffset LastModified => modified;

        public bool IsDirectory => false;

        public Stream CreateReadStream() => open();
    }
}
