using System.Globalization;
using FrontendBenchmark;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
switch (args)
{
    case ["upstream", var port]:
        await Servers.UpstreamAsync(port);
        break;
    case ["minimal", var port, var upstream]:
        await Servers.MinimalAsync(port, upstream);
        break;
    default:
        await using (var bench = await Bench.StartAsync())
        {
            if (Number(0, 3) is > 0 and var rounds)
            {
                await Comparison.RunAsync(bench, rounds, Number(1, 10), Number(2, 10));
            }
            if (Number(3, 8) is > 0 and var requests)
            {
                await FailureMatrix.RunAsync(bench, requests);
            }
        }
        break;
}

int Number(int index, int otherwise) => args.Length > index ? int.Parse(args[index], CultureInfo.InvariantCulture) : otherwise;
