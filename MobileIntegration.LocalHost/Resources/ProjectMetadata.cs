using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost;

/// <summary>What is known of a project when the AppHost is built: the generated <c>Projects.*</c> classes.</summary>
public interface IProjectMetadata : IResourceAnnotation
{
    /// <summary>The full path of the project file.</summary>
    string ProjectPath { get; }

    /// <summary>Read from the project's Properties/launchSettings.json when null.</summary>
    LaunchSettings? LaunchSettings => null;

    /// <summary>The project has been built with the AppHost.</summary>
    bool SuppressBuild => false;

    /// <summary>The path is a C# file that runs without a project.</summary>
    bool IsFileBasedApp => string.Equals(Path.GetExtension(ProjectPath), ".cs", StringComparison.OrdinalIgnoreCase);
}

internal sealed class ProjectFile(string projectPath) : IProjectMetadata
{
    public string ProjectPath => projectPath;
}

/// <summary>The content of a launchSettings.json.</summary>
[SuppressMessage("Usage", "CA2227", Justification = "Aspire's signature.")]
public sealed class LaunchSettings
{
    [JsonPropertyName("profiles")]
    public Dictionary<string, LaunchProfile> Profiles { get; set; } = [];
}

/// <summary>One way to launch a project.</summary>
[SuppressMessage("Usage", "CA2227", Justification = "Aspire's signature.")]
[SuppressMessage("Design", "CA1056", Justification = "Aspire's signature.")]
public sealed class LaunchProfile
{
    [JsonPropertyName("commandName")]
    public string? CommandName { get; set; }

    [JsonPropertyName("commandLineArgs")]
    public string? CommandLineArgs { get; set; }

    [JsonPropertyName("executablePath")]
    public string? ExecutablePath { get; set; }

    [JsonPropertyName("dotnetRunMessages")]
    public bool? DotnetRunMessages { get; set; }

    [JsonPropertyName("launchBrowser")]
    public bool? LaunchBrowser { get; set; }

    [JsonPropertyName("launchUrl")]
    public string? LaunchUrl { get; set; }

    /// <summary>Addresses separated by semicolons.</summary>
    [JsonPropertyName("applicationUrl")]
    public string? ApplicationUrl { get; set; }

    [JsonPropertyName("environmentVariables")]
    public Dictionary<string, string> EnvironmentVariables { get; set; } = [];
}

/// <summary>How a project is added.</summary>
public class ProjectResourceOptions
{
    /// <summary>The profile of the project's launchSettings.json; chosen if null.</summary>
    public string? LaunchProfileName { get; set; }

    /// <summary>No launch profile at all.</summary>
    public bool ExcludeLaunchProfile { get; set; }

    /// <summary>No endpoints from Kestrel's section of the project's appsettings.json.</summary>
    public bool ExcludeKestrelEndpoints { get; set; }
}

/// <summary>The protocols of OTLP.</summary>
public enum OtlpProtocol
{
    Grpc = 0,
    HttpProtobuf = 1,
    HttpJson = 2,
}
