using System.Diagnostics;
using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using MobileIntegration.LocalHost.Telemetry;

namespace TelemetryBenchmark;

/// <summary>
/// Receives as the dashboard does, into memory and file, and beside that has an address that throws away what it gets: what the connection itself costs.
/// </summary>
internal static partial class Receiver
{
    public const string Key = "key";
    private const string Store = "opentelemetry.proto.collector.trace.v1.TraceService/Export";
    private const string Sink = "sink/Export";

    public static async Task RunAsync(int rounds, int seconds, bool records)
    {
        var folder = Directory.CreateTempSubdirectory("telemetry-benchmark-").FullName;
        try
        {
            await using var app = await StartAsync(records ? folder : null);
            var (store, address) = (app.Services.GetRequiredService<TelemetryStore>(), app.Urls.First());
            await SendAsync(address, Store, 4, 5);
            Console.WriteLine($"{Environment.ProcessorCount} processors, load before {Load()}; {rounds} rounds of {seconds} s, batches of {Sender.BatchSize} spans, one connection");
            Console.WriteLine($"{"calls at once",-14}{"thrown away/s",14}{"kept/s",10}{"ratio",7}{"recorded",10}{"CPU us/span: sender",21}{"receiver",10}{"=> spans/s",12}{"load",7}");
            for (var round = 0; round < rounds * 2; round++)
            {
                var inFlight = round % 2 == 0 ? 1 : 4;
                var (thrown, _, _) = await SendAsync(address, Sink, inFlight, seconds);
                var (before, cpu) = (store.Counts, Environment.CpuUsage.TotalTime);
                var (kept, sender, _) = await SendAsync(address, Store, inFlight, seconds);
                var after = store.Counts;
                var (spans, lost) = (after.ReceivedSpans - before.ReceivedSpans, after.Unrecorded - before.Unrecorded);
                var receiver = (Environment.CpuUsage.TotalTime - cpu).TotalMicroseconds / spans;
                var possible = Environment.ProcessorCount * 1e6 / (sender + receiver);
                Console.WriteLine(
                    $"{inFlight,-14}{thrown,14:n0}{kept,10:n0}{kept / thrown,7:p0}{(double)(spans - lost) / spans,10:p1}{sender,21:f1}{receiver,10:f1}{possible,12:n0}{Load(),7}");
            }

            Console.WriteLine($"lists of the 100 newest traces, the buffers full ({store.Counts.Traces:n0} traces, {store.Counts.Spans:n0} spans)");
            var counts = store.Counts;
            Measure("at rest", store, seconds, static () => false);
            foreach (var rate in (int[])[50_000, 0])
            {
                var sending = SendAsync(address, Store, 4, seconds * 3, rate);
                await Task.Delay(500);
                Measure(rate > 0 ? $"at {rate:n0}/s" : "at full speed", store, seconds * 3, () => sending.IsCompleted);
                var (meanwhile, _, size) = await sending;
                Console.WriteLine($"  kept meanwhile {meanwhile:n0} spans/s of {size} bytes; not recorded so far {store.Counts.Unrecorded - counts.Unrecorded:n0}");
            }


            GC.Collect();
            GC.WaitForPendingFinalizers();
            GC.Collect();
            Console.WriteLine(
                $"memory at the limits: heap {GC.GetTotalMemory(true) / 1e6:n0} MB, process {Process.GetCurrentProcess().WorkingSet64 / 1e6:n0} MB; " +
                $"file {app.Services.GetRequiredService<TelemetryRuns>().List().Sum(run => run.Bytes) / 1e6:n1} MB");
            var clock = Stopwatch.StartNew();
            await app.StopAsync();
            await app.DisposeAsync();
            Console.WriteLine($"stopped in {clock.Elapsed.TotalSeconds:f1} s");
            clock.Restart();
            await using var next = await StartAsync(folder);
            if (!records)
            {
                return;
            }

            var runs = next.Services.GetRequiredService<TelemetryRuns>();
            var past = runs.Open(runs.List().Single(run => !run.IsCurrent).Id);
            Console.WriteLine($"past run opened in {clock.Elapsed.TotalSeconds:f1} s: {past.Counts.Traces:n0} traces, {past.Counts.Spans:n0} spans");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<WebApplication> StartAsync(string? folder)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddRouting();
        builder.Services.AddAuthorization();
        builder.Services.AddTelemetry(builder.Configuration, Key, folder: folder);
        var app = builder.Build();
        app.UseRouting();
        app.MapOtlp();
        app.MapPost(Sink, ThrowAwayAsync);
        await app.StartAsync();
        _ = app.Services.GetRequiredService<TelemetryStore>();
        return app;
    }

    private static async Task ThrowAwayAsync(HttpContext context)
    {
        while (true)
        {
            var read = await context.Request.BodyReader.ReadAsync();
            context.Request.BodyReader.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                break;
            }
        }

        context.Response.ContentType = "application/grpc";
        await context.Response.BodyWriter.WriteAsync(new byte[5]);
        context.Response.AppendTrailer("grpc-status", "0");
    }

    /// <returns>Spans per second, microseconds of processor time of the sender a span, and the bytes of a span.</returns>
    private static async Task<(double Rate, double Cpu, int Size)> SendAsync(string address, string path, int inFlight, int seconds, int rate = 0)
    {
        var command = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        // Started as "dotnet program.dll" or by its own executable.
        foreach (var argument in (string[])[
            .. Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? [typeof(Receiver).Assembly.Location] : Array.Empty<string>(),
            "send", address, path, $"{inFlight}", $"{seconds}", $"{rate}"])
        {
            command.ArgumentList.Add(argument);
        }

        using var process = Process.Start(command)!;
        var said = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        var numbers = said.Split(' ').Select(number => double.Parse(number, CultureInfo.InvariantCulture)).ToArray();
        return (numbers[0] / numbers[1], numbers[2] * 1e6 / numbers[0], (int)numbers[3]);
    }

    private static void Measure(string when, TelemetryStore store, int seconds, Func<bool> ended)
    {
        (string Name, TraceQuery Query)[] queries =
        [
            ("all", new()), ("text 'C-0001'", new() { Text = "C-0001" }),
            ("status_code >= 500", new() { Filters = [new("http.response.status_code", FieldOperator.AtLeast, "500")] }),
        ];
        var times = queries.ToDictionary(query => query.Name, _ => new List<(double Elapsed, double Cpu)>());
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed.TotalSeconds < seconds && !ended())
        {
            foreach (var (name, query) in queries)
            {
                var (began, cpu) = (Stopwatch.GetTimestamp(), ThreadTime());
                _ = store.Traces(query);
                times[name].Add((Stopwatch.GetElapsedTime(began).TotalMilliseconds, ThreadTime() - cpu));
                Thread.Sleep(20);
            }
        }

        foreach (var (name, all) in times)
        {
            var elapsed = all.Select(one => one.Elapsed).Order().ToArray();
            var cpu = all.Select(one => one.Cpu).Order().ToArray();
            Console.WriteLine($"  {when,-13} {name,-20} p50 {At(elapsed, 0.5),6:f1} ms  p99 {At(elapsed, 0.99),6:f1} ms  of that on a processor p50 {At(cpu, 0.5),5:f1} p99 {At(cpu, 0.99),5:f1}  ({all.Count})");
        }
    }

    private static double At(double[] sorted, double part) => sorted[(int)(sorted.Length * part)];

    /// <summary>Milliseconds that this thread was on a processor: what a busy machine does not change. Linux; elsewhere 0.</summary>
    private static double ThreadTime()
    {
        const int ThreadClock = 3;
        return OperatingSystem.IsLinux() && GetTime(ThreadClock, out var time) == 0 ? (time.Seconds * 1e3) + (time.Nanoseconds / 1e6) : 0;
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int GetTime(int clock, out TimeSpec time);

    private static string Load() => File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "?";

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public nint Seconds;
        public nint Nanoseconds;
    }
}
