using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

internal sealed record BlueprintBox(string Name, string State, string Look, int X, int Y)
{
    public string Link => Name == BlueprintPicture.Devices ? "/traces" : $"/resources#{Name}";
}

internal sealed record BlueprintArrow(string Path, int X, int Y, string Text, bool IsFailing);

/// <summary>
/// The system in columns: what is reached from outside first, then each service one column after whoever calls it, storage last. Calls are those of the
/// last minute, so the picture says how the system behaves, not how it was meant.
/// </summary>
internal sealed record BlueprintPicture(int Width, int Height, IReadOnlyList<BlueprintBox> Boxes, IReadOnlyList<BlueprintArrow> Arrows)
{
    public const string Devices = "mobile devices";
    public const int BoxWidth = 170;
    public const int BoxHeight = 56;
    private const int ColumnWidth = 290;
    private const int RowHeight = 84;

    public static readonly BlueprintPicture Empty = new(ColumnWidth, RowHeight, [], []);

    public static BlueprintPicture Draw(IReadOnlyList<ResourceEvent> states, IReadOnlyList<Flow> flows)
    {
        var resources = states.Where(state => state.Resource is not ParameterResource and not IResourceWithParent)
            .GroupBy(state => state.Resource).ToDictionary(group => group.Key.Name, group => group.ToList(), StringComparer.OrdinalIgnoreCase);
        var calls = flows.Where(flow => resources.ContainsKey(flow.To) && flow.From != flow.To && (flow.From.Length == 0 || resources.ContainsKey(flow.From))).ToList();
        var columns = Columns(resources, calls);
        var rows = new Dictionary<int, int>();
        List<BlueprintBox> boxes = [new(Devices, "", "off", 10, 10)];
        foreach (var (name, instances) in resources.OrderBy(resource => columns[resource.Key]))
        {
            var column = columns[name];
            var row = rows[column] = rows.GetValueOrDefault(column, -1) + 1;
            var worst = instances.Select(instance => ResourceBoard.LookOf(instance.Snapshot)).MinBy(look => Array.IndexOf(["bad", "wait", "off", "good"], look))!;
            var health = instances[0].Snapshot.HealthStatus is { } status ? $", {status}" : "";
            var state = $"{instances[0].Snapshot.State?.Text}{health}{(instances.Count > 1 ? $" ×{instances.Count}" : "")}";
            boxes.Add(new(name, state, worst, 10 + column * ColumnWidth, 10 + row * RowHeight));
        }

        var places = boxes.ToDictionary(box => box.Name, StringComparer.OrdinalIgnoreCase);
        var entrances = resources.Where(resource => IsEntrance(resource.Value[0].Resource)).Select(resource => resource.Key)
            .Where(name => !calls.Exists(call => call.From.Length == 0 && call.To == name));
        List<BlueprintArrow> arrows = [.. calls.Select(call => Arrow(places[call.From.Length == 0 ? Devices : call.From], places[call.To], call))];
        arrows.AddRange(entrances.Select(name => Arrow(places[Devices], places[name], null)));
        return new(10 + (boxes.Max(box => box.X) / ColumnWidth + 1) * ColumnWidth, boxes.Max(box => box.Y) + RowHeight, boxes, arrows);
    }

    private static bool IsEntrance(IResource resource) => resource.Annotations.OfType<EndpointAnnotation>().Any(endpoint => endpoint.IsExternal);

    private static Dictionary<string, int> Columns(Dictionary<string, List<ResourceEvent>> resources, List<Flow> calls)
    {
        var columns = resources.ToDictionary(resource => resource.Key, resource => IsEntrance(resource.Value[0].Resource) ? 1 : 2, StringComparer.OrdinalIgnoreCase);
        for (var pass = 0; pass < 5; pass++)
        {
            foreach (var call in calls.Where(call => call.From.Length > 0 && !IsEntrance(resources[call.To][0].Resource)))
            {
                columns[call.To] = Math.Min(Math.Max(columns[call.To], columns[call.From] + 1), 6);
            }
        }

        var last = columns.Values.DefaultIfEmpty(1).Max() + 1;
        foreach (var (name, instances) in resources.Where(resource => resource.Value[0].Resource is IResourceWithConnectionString))
        {
            columns[name] = last;
        }

        return columns;
    }

    private static BlueprintArrow Arrow(BlueprintBox from, BlueprintBox to, Flow? flow)
    {
        var (x1, y1, x2, y2) = (from.X + BoxWidth, from.Y + BoxHeight / 2, to.X, to.Y + BoxHeight / 2);
        var text = flow is null ? "" : FormattableString.Invariant($"{flow.RequestsPerSecond:0.#}/s {flow.P95.TotalMilliseconds:0} ms")
            + (flow.ErrorRate > 0 ? FormattableString.Invariant($" {flow.ErrorRate:0%} errors") : "");
        return new($"M{x1} {y1} C{x1 + 60} {y1} {x2 - 60} {y2} {x2 - 2} {y2}", (x1 + x2) / 2, (y1 + y2) / 2 - 6, text, flow?.ErrorRate > 0);
    }
}
