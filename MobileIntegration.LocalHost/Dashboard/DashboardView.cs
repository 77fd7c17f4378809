using System.Collections.Concurrent;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>What one browser window looks at.</summary>
internal sealed class DashboardView(TelemetryStore live)
{
    public TelemetryStore Store => live;
}

/// <summary>One colour for each resource on all pages, in the order in which they are first seen.</summary>
internal sealed class ResourceColours
{
    private const int Colours = 12;
    private readonly ConcurrentDictionary<string, int> _numbers = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The CSS class that sets the colour.</summary>
    public string this[string resource] => $"hue{_numbers.GetOrAdd(resource, _ => _numbers.Count) % Colours}";
}
