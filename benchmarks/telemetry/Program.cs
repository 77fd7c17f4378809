using System.Globalization;
using TelemetryBenchmark;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
if (args is ["send", var address, var path, var inFlight, var seconds, var rate])
{
    await Sender.RunAsync(address, path, int.Parse(inFlight, CultureInfo.InvariantCulture), int.Parse(seconds, CultureInfo.InvariantCulture),
        int.Parse(rate, CultureInfo.InvariantCulture));
}
else
{
    await Receiver.RunAsync(
        rounds: args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 3, seconds: args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 8, records: args is not [_, _, "memory"]);
}
