namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>
/// The points of one dimension of an instrument. Old ones are thinned: a point of some age is shown in no window shorter than that, and so needs no
/// neighbour closer than a sixtieth of that window. A series that changes every second takes about 300 points for twelve hours.
/// </summary>
internal sealed class MetricDimension(TelemetryAttribute[] attributes)
{
    private static readonly (long Age, long Spacing)[] Rules =
        [.. new[] { (60, 5), (300, 15), (900, 30), (1_800, 60), (3_600, 180), (10_800, 360), (21_600, 720) }.Select(rule => (Nano(rule.Item1), Nano(rule.Item2)))];

    /// <summary>For each rule, the first point that is not old enough for it yet.</summary>
    private readonly LinkedListNode<MetricPoint>?[] _young = new LinkedListNode<MetricPoint>?[Rules.Length];

    public TelemetryAttribute[] Attributes => attributes;

    public LinkedList<MetricPoint> Points { get; } = [];

    /// <summary>Leaves out what the newest point made too old to be kept so close together.</summary>
    /// <param name="removed">Is told of each point that goes.</param>
    public void Thin(bool monotonic, Action<MetricPoint> removed)
    {
        var newest = Points.Last!;
        for (var i = 0; i < Rules.Length; i++)
        {
            var node = _young[i] ?? Points.First!;
            while (node != newest && newest.Value.FirstNano - node.Value.LastNano > Rules[i].Age)
            {
                var next = node.Next!;
                if (node.Previous is { } before && node.Value.LastNano - before.Value.LastNano < Rules[i].Spacing && Continues(before, node, monotonic) && Continues(node, next, monotonic))
                {
                    next.Value.Joined = true;
                    Remove(node);
                    removed(node.Value);
                }

                node = next;
            }

            _young[i] = node;
            if (node == Points.First)
            {
                return;
            }
        }
    }

    public void RemoveFirst() => Remove(Points.First!);

    private void Remove(LinkedListNode<MetricPoint> node)
    {
        for (var i = 0; i < _young.Length; i++)
        {
            if (_young[i] == node)
            {
                _young[i] = node.Next;
            }
        }

        Points.Remove(node);
    }

    /// <summary>A counter that began anew between two points needs both.</summary>
    private static bool Continues(LinkedListNode<MetricPoint> before, LinkedListNode<MetricPoint> after, bool monotonic) =>
        before.Value.StartNano == after.Value.StartNano &&
        !(monotonic && (after.Value.Value < before.Value.Value || after.Value.Histogram?.Count < before.Value.Histogram?.Count));

    private static long Nano(int seconds) => seconds * 1_000_000_000L;
}
