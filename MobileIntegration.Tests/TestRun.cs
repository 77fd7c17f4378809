using System.Runtime.CompilerServices;

namespace MobileIntegration.Tests;

internal static class TestRun
{
    /// <summary>
    /// No host of this run watches its settings for changes: with one watch a host, those of all tests and of the processes they start would
    /// together be more than Linux allows an account (128 inotify instances).
    /// </summary>
    [ModuleInitializer]
    internal static void Begin()
    {
        Environment.SetEnvironmentVariable("DOTNET_hostBuilder__reloadConfigOnChange", "false");

        // Hosts that start in tests block threads; receivers in this process (OTLP, webhooks) must not wait for the pool to grow.
        ThreadPool.SetMinThreads(workerThreads: 64, completionPortThreads: 64);
    }
}
