using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>Leads arrows between boxes so that each has its own place at their edges, and puts what they say where nothing else is.</summary>
internal static class BlueprintRoutes
{
    private const int Width = BlueprintPicture.BoxWidth;
    private const int Height = BlueprintPicture.BoxHeight;
    private static readonly double[] Places = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82];

    public static List<BlueprintArrow> Draw(IReadOnlyList<BlueprintBox> boxes, IReadOnlyList<Flow> flows)
    {
        var places = boxes.ToDictionary(box => box.Name, StringComparer.OrdinalIgnoreCase);
        var ends = flows.Select(flow => (Flow: flow, From: places[flow.From.Length == 0 ? BlueprintPicture.Devices : flow.From], To: places[flow.To])).ToList();
        List<Room> solid = [.. boxes.Select(box => new Room(box.X, box.Y, Width, Height))];
        List<Room> labels = [];
        List<BlueprintArrow> arrows = [];
        foreach (var (flow, from, to) in ends)
        {
            var leaving = ends.Where(end => end.From == from).OrderBy(end => end.To.Y).ThenBy(end => end.To.X).ToList();
            var coming = ends.Where(end => end.To == to && IsRight(end.From, end.To) == IsRight(from, to)).OrderBy(end => end.From.Y).ThenByDescending(end => end.From.X).ToList();
            var y1 = Slot(from, leaving.FindIndex(end => end.Flow == flow), leaving.Count);
            var y2 = Slot(to, coming.FindIndex(end => end.Flow == flow), coming.Count);
            var points = Curve(from, to, y1, y2);
            var text = flow.Count == 0 ? "" : $"{Rate(flow.RequestsPerSecond)} · {Formats.Duration(flow.P95)}";
            var failures = flow.ErrorRate > 0 ? FormattableString.Invariant($"{flow.ErrorRate:0.#%} failed") : "";
            var (x, y) = Label(points, text.Length * 5.6, failures.Length > 0 ? 28 : 13, solid, labels);
            var path = FormattableString.Invariant($"M{points[0].X:0.#} {points[0].Y:0.#}C{points[1].X:0.#} {points[1].Y:0.#} {points[2].X:0.#} {points[2].Y:0.#} {points[3].X:0.#} {points[3].Y:0.#}");
            arrows.Add(new(from.Name, to.Name, path, x, y, text, failures, flow.Count == 0 ? "idle" : flow.ErrorRate > 0 ? "failing" : "busy"));
        }

        // Those that fail are drawn last, above the others.
        return [.. arrows.OrderBy(arrow => arrow.Look == "failing")];
    }

    private static string Rate(double perSecond) => perSecond < 0.1 ? "<0.1/s" : FormattableString.Invariant($"{perSecond:0.#}/s");

    private static bool IsRight(BlueprintBox from, BlueprintBox to) => to.X > from.X + Width;

    private static double Slot(BlueprintBox box, int number, int of) => box.Y + (Height * (number + 1.0) / (of + 1));

    private static (double X, double Y)[] Curve(BlueprintBox from, BlueprintBox to, double y1, double y2)
    {
        var x1 = from.X + Width;
        if (!IsRight(from, to))
        {
            // To what is below or behind: out to the right and back in from there.
            var out1 = x1 + 56 + (Math.Abs(y2 - y1) * 0.08);
            return [(x1, y1), (out1, y1), (to.X + Width + out1 - x1, y2), (to.X + Width + 3, y2)];
        }

        var gap = to.X - x1;
        // What goes far goes up or down at once, in the gap between two columns, rather than across boxes.
        return gap < 200
            ? [(x1, y1), (x1 + (gap * 0.5), y1), (to.X - (gap * 0.5), y2), (to.X - 3, y2)]
            : [(x1, y1), (x1 + 130, y1), (x1 + 10, y2), (to.X - 3, y2)];
    }

    /// <summary>Where the arrow's text stands: beside all boxes and texts if there is such a place, else at least beside the texts.</summary>
    private static (double X, double Y) Label((double X, double Y)[] points, double width, double height, List<Room> solid, List<Room> labels)
    {
        if (width == 0)
        {
            return (0, 0);
        }

        var places = Places.Select(place => At(points, place)).Select(at => (at.X, at.Y, Room: new Room(at.X - (width / 2) - 2, at.Y - 14, width + 4, height))).ToList();
        var free = places.FindAll(place => !labels.Exists(place.Room.Meets));
        var (x, y, room) = free.Concat(places).First(place => free.Count == 0 || !solid.Exists(place.Room.Meets) || !free.Exists(other => !solid.Exists(other.Room.Meets)));
        labels.Add(room);
        return (x, y - 4);
    }

    private static (double X, double Y) At((double X, double Y)[] points, double t)
    {
        var (a, b, c, d) = (Math.Pow(1 - t, 3), 3 * Math.Pow(1 - t, 2) * t, 3 * (1 - t) * t * t, t * t * t);
        return ((a * points[0].X) + (b * points[1].X) + (c * points[2].X) + (d * points[3].X), (a * points[0].Y) + (b * points[1].Y) + (c * points[2].Y) + (d * points[3].Y));
    }

    private sealed record Room(double X, double Y, double W, double H)
    {
        public bool Meets(Room other) => X < other.X + other.W && other.X < X + W && Y < other.Y + other.H && other.Y < Y + H;
    }
}
