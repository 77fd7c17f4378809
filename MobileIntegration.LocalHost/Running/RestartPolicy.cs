using Microsoft.Extensions.Configuration;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// Whether a process that ended by itself with an exit code other than 0 is started again: setting <c>RestartPolicy</c>, or
/// <c>RestartPolicy:RESOURCE</c> for one, <c>on-failure</c> (the default for projects and storage) or <c>never</c> (the default for
/// executables, and for everything in tests). Delays double from 1 s to 30 s and begin anew after a minute of running.
/// </summary>
internal sealed class RestartPolicy
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Stable = TimeSpan.FromMinutes(1);
    private readonly bool _restart;
    private int _failures;

    public RestartPolicy(IResource resource, IConfiguration configuration, bool testing)
    {
        var fallback = testing || resource is ExecutableResource ? "never" : "on-failure";
        var setting = configuration[$"RestartPolicy:{resource.Name}"] ?? configuration["RestartPolicy"] ?? fallback;
        _restart = setting switch
        {
            "on-failure" => true,
            "never" => false,
            _ => throw new DistributedApplicationException($"The setting RestartPolicy is '{setting}'. Give 'on-failure' or 'never'."),
        };
    }

    /// <summary>How long to wait before the next start, or null when there is none.</summary>
    public TimeSpan? AfterExit(int exitCode, TimeSpan ran)
    {
        if (!_restart || exitCode == 0)
        {
            return null;
        }

        _failures = ran >= Stable ? 0 : _failures;
        var delay = TimeSpan.FromSeconds(Math.Pow(2, Math.Min(_failures++, 10)));
        return delay < Longest ? delay : Longest;
    }
}
