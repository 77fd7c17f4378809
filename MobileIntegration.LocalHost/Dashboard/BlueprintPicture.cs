using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

internal sealed record BlueprintBox(string Name, string State, string Look, int X, int Y)
{
    public string Title => Name.Length > 17 ? $"{Name[..16]}…" : Name;

    public string Query => Uri.EscapeDataString(Name);
}

internal sealed record BlueprintLane(string Name, int X, int Y, int Width, int Height);

/// <param name="Look">idle (possible, not used in the last minute), busy or failing.</param>
internal sealed record BlueprintArrow(string From, string To, string Path, double X, double Y, string Text, string Failures, string Look)
{
    public string Name => $"Calls from {From} to {To}: {(Text.Length == 0 ? "none" : Failures.Length == 0 ? Text : $"{Text}, {Failures}")}";
}

/// <summary>
/// The blueprint: mobile devices, the gateway, frontend and integration microservices and the backend systems from left to right, mobile services and
/// storage below. Where a resource belongs follows from its project and kind; what is none of these stands where it is called from. Arrows are the calls
/// of the last minute.
/// </summary>
internal sealed record BlueprintPicture(
    int Width, int Height, IReadOnlyList<BlueprintLane> Lanes, IReadOnlyList<BlueprintBox> Boxes, IReadOnlyList<BlueprintArrow> Arrows, IReadOnlyList<Flow> Flows)
{
    public const string Devices = "mobile devices";
    public const int BoxWidth = 150;
    public const int BoxHeight = 58;
    private const int ColumnWidth = 276;
    private const int RowHeight = 78;
    private const int Inset = 14;
    private const int LaneTop = 34;

    public static readonly BlueprintPicture Empty = new(ColumnWidth, RowHeight, [], [], [], []);

    /// <param name="isPast">The calls are those of a run that has ended, so states of now say nothing about them.</param>
    public static BlueprintPicture Draw(IReadOnlyList<ResourceEvent> states, IReadOnlyList<Flow> flows, bool isPast)
    {
        var resources = states.Where(state => state.Resource is not IResourceWithParent)
            .GroupBy(state => state.Resource).ToDictionary(group => group.Key.Name, group => group.ToList(), StringComparer.OrdinalIgnoreCase);
        // Whose caller is not known comes from a device only where devices get in.
        var calls = flows.Where(flow => flow.From != flow.To && resources.TryGetValue(flow.To, out var to)
            && (flow.From.Length == 0 ? BlueprintLanes.IsEntrance(to[0].Resource) : resources.ContainsKey(flow.From))).ToList();
        var lanes = BlueprintLanes.Sort(resources.Values.Select(instances => instances[0].Resource), calls);
        List<BlueprintLane> frames = [];
        List<BlueprintBox> boxes = [];

        var upper = lanes.Where(lane => !lane.IsBelow).ToList();
        var upperRows = Math.Max(upper.Max(lane => lane.Names.Count), 1);
        var column = 0;
        foreach (var lane in upper)
        {
            Place(lane, column++, 10, Math.Max(lane.Names.Count, 1), 1, (upperRows - lane.Names.Count) * RowHeight / 2);
        }

        // Below, beside each other and as wide as they need to be: mobile services under the frontends, storage under the rest.
        var top = 10 + LaneTop + (upperRows * RowHeight) + 64;
        var below = lanes.Where(lane => lane.IsBelow && lane.Names.Count > 0).ToList();
        var widths = below.ConvertAll(lane => lane.Names.Count > 3 ? 2 : 1);
        var start = below.Count == 1 ? 2 : 1 + Math.Max(0, Math.Min(1, upper.Count - 1 - widths.Sum()));
        for (var i = 0; i < below.Count; i++)
        {
            Place(below[i], start, top, (below[i].Names.Count + widths[i] - 1) / widths[i], widths[i], 0);
            start += i + 1 < below.Count ? Math.Max(widths[i], Math.Min(widths[i] + 1, upper.Count - widths[i + 1] - start)) : widths[i];
        }

        var arrows = BlueprintRoutes.Draw(boxes, [.. calls, .. Idle(resources, calls)]);
        var width = Math.Max(frames.Max(frame => frame.X + frame.Width), boxes.Max(box => box.X + BoxWidth)) + 110;
        return new(width, frames.Append(new("", 0, 0, 0, 10 + LaneTop + (upperRows * RowHeight))).Max(frame => frame.Y + frame.Height) + 12, frames, boxes, arrows, flows);

        void Place(BlueprintLanes.Lane lane, int at, int y, int rows, int columns, int shift)
        {
            var x = 14 + (at * ColumnWidth);
            if (lane.Names.Count > 0)
            {
                frames.Add(new(lane.Title, x - Inset + 4, y + shift, ((columns - 1) * ColumnWidth) + BoxWidth + (2 * Inset) - 8, LaneTop + (rows * RowHeight) - 8));
            }

            for (var i = 0; i < lane.Names.Count; i++)
            {
                var name = lane.Names[i];
                var (row, cell) = (i % rows, i / rows);
                boxes.Add(isPast ? new(name, "past run", "off", x + (cell * ColumnWidth), y + shift + LaneTop - 6 + (row * RowHeight))
                    : Box(name, resources.GetValueOrDefault(name), x + (cell * ColumnWidth), y + shift + LaneTop - 6 + (row * RowHeight)));
            }
        }
    }

    private static BlueprintBox Box(string name, List<ResourceEvent>? instances, int x, int y)
    {
        if (instances is null)
        {
            return new(name, "callers from outside", "off", x, y);
        }

        var looks = instances.ConvertAll(instance => ResourceBoard.LookOf(instance.Snapshot));
        var worst = instances[looks.IndexOf(looks.MinBy(look => Array.IndexOf(["bad", "wait", "off", "good"], look))!)].Snapshot;
        var state = worst.HealthStatus is { } health && health != Microsoft.Extensions.Diagnostics.HealthChecks.HealthStatus.Healthy ? health.ToString() : worst.State?.Text;
        return new(name, $"{state}{(instances.Count > 1 ? $" ×{instances.Count}" : "")}", ResourceBoard.LookOf(worst), x, y);
    }

    /// <summary>The way in is always shown.</summary>
    private static IEnumerable<Flow> Idle(Dictionary<string, List<ResourceEvent>> resources, List<Flow> calls) =>
        resources.Where(resource => BlueprintLanes.IsEntrance(resource.Value[0].Resource) && !calls.Exists(call => call.From.Length == 0 && call.To == resource.Key))
            .Select(resource => new Flow("", resource.Key, true, 0, 0, default, 0));
}
