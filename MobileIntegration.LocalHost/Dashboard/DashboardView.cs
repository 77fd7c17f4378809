using System.Collections.Concurrent;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.WebUtilities;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>What one browser window looks at: the run that goes on, or a past one that <c>?run=</c> names when the page is loaded.</summary>
internal sealed class DashboardView
{
    public DashboardView(TelemetryStore live, TelemetryRuns runs, NavigationManager navigation)
    {
        Store = live;
        if (QueryHelpers.ParseQuery(new Uri(navigation.Uri).Query).TryGetValue("run", out var id) && id.ToString() is { Length: > 0 } run && run != runs.CurrentId)
        {
            try
            {
                (Store, Past) = (runs.Open(run), runs.List().FirstOrDefault(one => one.Id == run));
            }
            catch (TelemetryException exception)
            {
                Problem = exception.Message;
            }
        }
    }

    public TelemetryStore Store { get; }

    /// <summary>Null if it is the run that goes on.</summary>
    public TelemetryRun? Past { get; }

    /// <summary>Why the run that was asked for is not shown.</summary>
    public string? Problem { get; }
}

/// <summary>One colour for each resource on all pages, in the order in which they are first seen.</summary>
internal sealed class ResourceColours
{
    private const int Colours = 12;
    private readonly ConcurrentDictionary<string, int> _numbers = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The CSS class that sets the colour.</summary>
    public string this[string resource] => $"hue{_numbers.GetOrAdd(resource, _ => _numbers.Count) % Colours}";
}
