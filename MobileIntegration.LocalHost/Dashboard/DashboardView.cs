using System.Collections.Concurrent;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.WebUtilities;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>
/// What one browser window looks at: the run that goes on, or, as <c>?run=</c> says when the page is loaded, a past one or what was imported.
/// </summary>
internal sealed class DashboardView
{
    public DashboardView(TelemetryStore live, TelemetryRuns runs, ImportedTelemetry imported, NavigationManager navigation)
    {
        Store = live;
        if (!QueryHelpers.ParseQuery(new Uri(navigation.Uri).Query).TryGetValue("run", out var asked) || asked.ToString() is not { Length: > 0 } id || id == runs.CurrentId)
        {
            return;
        }

        try
        {
            (Store, PastName) = imported.Find(id) is { } one
                ? (one.Store, $"Imported from {one.Name}")
                : (runs.Open(id), runs.List().FirstOrDefault(run => run.Id == id) is { } run
                    ? $"Past run of {Formats.Moment(run.Started)}{(run.Ended is { } ended ? $" to {Formats.Time(ended)}" : "")}"
                    : $"Past run {id}");
            PastId = id;
        }
        catch (TelemetryException exception)
        {
            Problem = exception.Message;
        }
    }

    public TelemetryStore Store { get; }

    /// <summary>Null if it is the run that goes on.</summary>
    public string? PastId { get; }

    public string? PastName { get; }

    /// <summary>Why the run that was asked for is not shown.</summary>
    public string? Problem { get; }
}

/// <summary>The telemetry that was imported last, in memory only.</summary>
internal sealed class ImportedTelemetry
{
    private const int Most = 3;
    private readonly ConcurrentQueue<(string Id, string Name, TelemetryStore Store)> _all = [];

    public IReadOnlyList<(string Id, string Name, TelemetryStore Store)> All => [.. _all.Reverse()];

    public string Add(string name, TelemetryStore store)
    {
        var id = $"import-{Guid.NewGuid():n}";
        _all.Enqueue((id, name, store));
        while (_all.Count > Most)
        {
            _all.TryDequeue(out _);
        }

        return id;
    }

    public (string Name, TelemetryStore Store)? Find(string id) => _all.FirstOrDefault(one => one.Id == id) is { Store: not null } found ? (found.Name, found.Store) : null;
}

/// <summary>One colour for each resource on all pages, in the order in which they are first seen.</summary>
internal sealed class ResourceColours
{
    private const int Colours = 12;
    private readonly ConcurrentDictionary<string, int> _numbers = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The CSS class that sets the colour.</summary>
    public string this[string resource] => $"hue{_numbers.GetOrAdd(resource, _ => _numbers.Count) % Colours}";
}
