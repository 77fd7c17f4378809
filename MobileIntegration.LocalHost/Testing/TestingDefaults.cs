using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.LocalHost.Testing;

/// <summary>What differs when an application runs under a test. Arguments of the AppHost still win.</summary>
internal static class TestingDefaults
{
    public static void Apply(DistributedApplicationOptions options, HostApplicationBuilderSettings settings, Assembly? appHost)
    {
        options.DisableDashboard = true;
        options.EnableResourceLogging = true;
        options.AllowUnsecuredTransport = true;
        options.AssemblyName ??= appHost?.GetName().Name;

        settings.EnvironmentName ??= Environments.Development;
        settings.Configuration ??= new ConfigurationManager();
        settings.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["DcpPublisher:RandomizePorts"] = "true",
            [RunningSettings.TemporaryFolder] = Path.Combine(Path.GetTempPath(), $"apphost-{Guid.CreateVersion7():n}"),
        });
    }

    public static void Apply(DistributedApplicationBuilder builder) => builder.Services.AddHttpClient();
}
