namespace MobileIntegration.LocalHost.Running;

internal static class RunningSetup
{
    public static void AddRunning(IDistributedApplicationBuilder builder, DistributedApplicationOptions options) => _ = (builder, options);
}
