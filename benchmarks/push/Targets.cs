using System.Globalization;

/// <summary>What is asked for, and what was seen of it.</summary>
internal sealed class Targets
{
    private readonly List<string> _lines = [];

    public void Add(string what, double seen, double asked, bool atLeast = true) => _lines.Add(string.Create(
        CultureInfo.InvariantCulture, $"{((atLeast ? seen >= asked : seen <= asked) ? "met   " : "MISSED")} {what}: {seen:0.00}, {(atLeast ? "at least" : "at most")} {asked:0.00}"));

    public void Tell()
    {
        Console.WriteLine("asked for, by the medians:");
        _lines.ForEach(Console.WriteLine);
    }

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
