using System.Globalization;
using GatewayBenchmark;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
switch (args)
{
    case ["upstream", var port]:
        await Servers.UpstreamAsync(port);
        break;
    case ["yarp", var port, var upstream]:
        await Servers.YarpAsync(port, upstream);
        break;
    default:
        await using (var comparison = await Comparison.StartAsync())
        {
            await comparison.RunAsync(Number(0, 3), Number(1, 10), Number(2, 30), [.. args.Skip(3)]);
        }
        break;
}

int Number(int index, int otherwise) => args.Length > index ? int.Parse(args[index], CultureInfo.InvariantCulture) : otherwise;
