namespace MobileIntegration.LocalHost;

/// <summary>How a <see cref="DistributedApplicationBuilder"/> is set up.</summary>
public sealed class DistributedApplicationOptions
{
    /// <summary>The command line: configuration as <c>--key value</c> or <c>key=value</c>.</summary>
    public string[]? Args { get; set; }

    /// <summary>The name of the AppHost's assembly; the entry assembly when not set.</summary>
    public string? AssemblyName { get; set; }

    /// <summary>The AppHost's project directory; taken from the assembly when not set.</summary>
    public string? ProjectDirectory { get; set; }

    /// <summary>No dashboard; a failed dependency then fails what waits for it.</summary>
    public bool DisableDashboard { get; set; }

    /// <summary>The name the dashboard shows.</summary>
    public string? DashboardApplicationName { get; set; }

    /// <summary>Writes every resource's output to the AppHost's own log too.</summary>
    public bool EnableResourceLogging { get; set; }

    /// <summary>Allows http addresses for the dashboard and telemetry. LocalHost binds to the loopback interface only, where http is always allowed.</summary>
    public bool AllowUnsecuredTransport { get; set; }

    /// <summary>The file that generated values are kept in, instead of the user secrets of the assembly.</summary>
    internal string? UserSecretsPath { get; set; }
}
