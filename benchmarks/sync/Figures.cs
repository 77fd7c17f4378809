/// <summary>What came of the rounds of one server.</summary>
internal sealed class Figures(Server server)
{
    private readonly List<double> _rates = [];
    private readonly List<double> _cpu = [];

    /// <summary>The median, a second.</summary>
    public double Rate => Median(_rates);

    /// <summary>Microseconds of the server's processor time for one, the database's included.</summary>
    public double Cpu => Median(_cpu);

    public async Task AddAsync(Func<Server, Task<(double Rate, double Cpu)>> measure)
    {
        var (rate, cpu) = await measure(server);
        _rates.Add(rate);
        _cpu.Add(cpu);
    }

    public override string ToString() => $"{Rate:N0} ({_rates.Min():N0}-{_rates.Max():N0})";

    public static double Median(List<double> values) => (values.Order().ElementAt((values.Count - 1) / 2) + values.Order().ElementAt(values.Count / 2)) / 2;
}
