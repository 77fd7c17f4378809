using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.Dashboard;

namespace MobileIntegration.LocalHost.Running;

internal static class RunningSetup
{
    private static readonly TimeSpan ShutdownPatience = TimeSpan.FromSeconds(60);

    /// <summary>Registers what runs the model: processes, ports, health, restarts.</summary>
    public static void AddRunning(IDistributedApplicationBuilder builder, DistributedApplicationOptions options)
    {
        var settings = RunningSettings.Read(builder, options);
        builder.Services.AddSingleton(settings);
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<Orchestrator>();
        builder.Services.AddHostedService(services => services.GetRequiredService<Orchestrator>());
        builder.Services.AddSingleton<HealthMonitor>();
        if (!options.DisableDashboard)
        {
            builder.Services.AddSingleton(services => new DashboardHost(services, options.DashboardApplicationName ?? builder.Environment.ApplicationName));
        }

        builder.Services.AddHealthChecks();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = ShutdownPatience);

        // A failed start ends in one line that says the mend (StartErrors), not in a stack trace before it.
        builder.Services.AddLogging(logging => logging
            .AddSimpleConsole(console => console.SingleLine = true)
            .AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None)
            .AddFilter("Microsoft.AspNetCore", LogLevel.Error)
            .AddFilter("Grpc", LogLevel.Error)
            .AddFilter("System.Net.Http.HttpClient", LogLevel.Warning)
            .AddFilter("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.None));
    }
}

/// <summary>How this AppHost runs its model.</summary>
/// <param name="DataFolder">Setting <c>data-folder</c>: where data is kept; <c>.data</c> beside the AppHost's folder.</param>
/// <param name="ResetData">Argument <c>--reset-data</c>: begin with empty databases.</param>
/// <param name="TemporaryData">Delete the data at the end.</param>
/// <param name="RandomPorts">Setting <c>DcpPublisher:RandomizePorts</c>: neither fixed nor kept ports.</param>
/// <param name="Only">Setting <c>only</c>: the resources to start, with what they need; empty means all.</param>
/// <param name="StopWaitingOnFailure">A resource whose dependency failed fails too, instead of waiting for it.</param>
internal sealed record RunningSettings(
    string DataFolder, bool ResetData, bool TemporaryData, bool RandomPorts, IReadOnlyList<string> Only, bool StopWaitingOnFailure)
{
    /// <summary>The setting with the folder that a test run makes and deletes; one that somebody else names is kept.</summary>
    public const string TemporaryFolder = "temporary-data-folder";

    private const string ResetSwitch = "--reset-data";

    /// <summary>The arguments that are configuration; a switch without a value would swallow the next one there.</summary>
    public static string[]? WithoutSwitches(string[]? args) => args is null ? null : [.. args.Where(arg => arg != ResetSwitch)];

    public static RunningSettings Read(IDistributedApplicationBuilder builder, DistributedApplicationOptions options)
    {
        var configuration = builder.Configuration;
        var named = configuration["data-folder"] is { Length: > 0 } folder ? folder : null;
        var temporary = configuration[TemporaryFolder] is { Length: > 0 } made ? made : null;
        return new RunningSettings(
            named ?? temporary ?? Path.Combine(builder.AppHostDirectory, "..", ".data"),
            ResetData: options.Args?.Contains(ResetSwitch) == true || configuration.GetValue("reset-data", false),
            TemporaryData: named is null && temporary is not null,
            RandomPorts: configuration.GetValue("DcpPublisher:RandomizePorts", false),
            Only: (configuration["only"] ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
            StopWaitingOnFailure: options.DisableDashboard);
    }
}
