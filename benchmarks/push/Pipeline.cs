using System.Diagnostics;
using System.Globalization;
using Npgsql;

/// <param name="Port">HTTP/2 without TLS: APNs and FCM.</param>
/// <param name="TokenPort">HTTP/1.1: the token endpoint of FCM.</param>
/// <param name="TlsPort">A push service.</param>
/// <param name="Trust">Variables of who calls that.</param>
internal sealed record FakeAddresses(int Port, int TokenPort, int TlsPort, IReadOnlyDictionary<string, string> Trust)
{
    public string Of(string network) => network is "webpush" ? $"https://localhost:{TlsPort}" : $"http://127.0.0.1:{Port}";
}

/// <summary>The service over one network, warm: claimed from PostgreSQL, sent to the fake, written down.</summary>
internal sealed class Pipeline(string network, FakeAddresses fakes, NpgsqlDataSource source, Process service, int devices, Targets targets)
{
    private readonly int _few = Math.Min(Recipients.Few, devices);
    private readonly Recipients _recipients = new(network, fakes.Of(network), source);

    /// <param name="registered">How many devices are registered in the end; as many as get messages when that is all.</param>
    public static async Task RunAsync(string network, string database, FakeAddresses fakes, int devices, int rounds, int registered, Targets targets)
    {
        await using var children = new Children();
        await using var source = NpgsqlDataSource.Create(database);
        var port = Children.FreePort();
        var service = await children.StartAsync(port, "dotnet",
        [
            "artifacts/bin/MobileServices/release/MobileServices.dll", "Run=push", $"ConnectionStrings:mobiledb={database}", "Authentication:Authority=http://localhost:9", $"urls=http://127.0.0.1:{port}",
            $"Push:ApnsAddress={fakes.Of("apns")}", $"Push:FcmAddress={fakes.Of("fcm")}", $"Push:FcmTokenAddress=http://127.0.0.1:{fakes.TokenPort}/token", "Push:AllowPrivateEndpoints=true",
            "Logging:LogLevel:Default=Error",
        ], fakes.Trust);
        var pipeline = new Pipeline(network, fakes, source, service, devices, targets);
        await pipeline.MeasureAsync(rounds);
        if (registered > devices)
        {
            await pipeline.GrowAsync(registered);
        }
    }

    private async Task MeasureAsync(int rounds)
    {
        await _recipients.BeginAsync();
        await _recipients.RegisterAsync(0, devices);
        await SendAsync("tag == few", _few);
        Console.WriteLine();
        Console.WriteLine($"{devices} devices over {network}, {Environment.ProcessorCount} cores for all processes, load before {(await File.ReadAllTextAsync("/proc/loadavg")).Split(' ')[0]}");
        Console.WriteLine($"round   pipeline/s   bare loop/s   ratio{(network is "webpush" ? "   web-push/s   ratio" : "")}   service us   postgres us   WAL records   WAL bytes   service peak MB");
        var backend = await BackendAsync();
        // Warm, as are the senders: what goes on for hours is asked for here.
        for (var round = 0; round < 4; round++)
        {
            await SendAsync("all", devices);
        }
        List<(double Loop, double Npm)> ratios = [];
        for (var round = 1; round <= rounds; round++)
        {
            var loop = network is "own" ? double.NaN : await Children.AskSelfAsync(["loop", network, fakes.Of(network), $"{devices}"], fakes.Trust);
            var npm = network is "webpush" ? await Senders.WebPushAsync(fakes.TlsPort, fakes.Trust) : double.NaN;
            var (before, own, theirs) = (await WalAsync(), Cpu.Of(service.Id), Cpu.OfPostgres(backend));
            var pipeline = await SendAsync("all", devices);
            var after = await WalAsync();
            ratios.Add((pipeline / loop, pipeline / npm));
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{round,5}{pipeline,13:0}{loop,14:0}{pipeline / loop,8:0.00}{(network is "webpush" ? $"{npm,13:0}{pipeline / npm,8:0.0}" : "")}"
                + $"{(Cpu.Of(service.Id) - own) / devices,13:0}{(Cpu.OfPostgres(backend) - theirs) / devices,14:0}"
                + $"{(double)(after.Records - before.Records) / devices,14:0.0}{(double)(after.Bytes - before.Bytes) / devices,12:0}{PeakMegabytes(),18:0}"));
        }
        if (network is "apns" or "fcm")
        {
            targets.Add($"pipeline over {network} : bare loop", Targets.Median(ratios.Select(ratio => ratio.Loop)), 0.4);
        }
        if (network is "webpush")
        {
            targets.Add("pipeline over webpush : web-push (npm)", Targets.Median(ratios.Select(ratio => ratio.Npm)), 3);
        }
        targets.Add($"MB of the service over {network}", PeakMegabytes(), 300, atLeast: false);
    }

    /// <summary>What the same few recipients cost among more and more; and a tenth of the devices beside all of them.</summary>
    private async Task GrowAsync(int registered)
    {
        var (tenth, all) = (await SendAsync("tag == tenth", devices / 10), await SendAsync("all", devices));
        Console.WriteLine();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"recipients          s\n{devices / 10,10}{devices / 10 / tenth,11:0.00}\n{devices,10}{devices / all,11:0.00}"));
        Console.WriteLine();
        Console.WriteLine($"registered   s for {_few} recipients");
        List<double> taken = [];
        for (var have = devices; ; have = Math.Min(have * 3, registered))
        {
            List<double> seconds = [];
            for (var round = 0; round < 3; round++)
            {
                seconds.Add(_few / await SendAsync("tag == few", _few));
            }
            taken.Add(Targets.Median(seconds));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{have,10}{taken[^1],19:0.00}"));
            if (have >= registered)
            {
                break;
            }
            await _recipients.RegisterAsync(have, Math.Min(have * 3, registered) - have);
        }
        targets.Add($"s for all : ten times those for a tenth of {devices} recipients", tenth / all, 1.2, atLeast: false);
        targets.Add($"s for {_few} recipients among {registered} : among {devices}", taken[^1] / taken[0], 1.5, atLeast: false);
    }

    /// <summary>The message as the API would write it; from there to the last row of the ledger.</summary>
    /// <returns>Deliveries a second.</returns>
    private async Task<double> SendAsync(string audience, int count)
    {
        var id = Guid.CreateVersion7();
        var began = Stopwatch.GetTimestamp();
        await _recipients.SendAsync(id, audience);
        while (true)
        {
            await using var ask = source.CreateCommand(
                """
                select (select state = 'sending' from push.message where id = $1) and not exists (select from push.chunk where message_id = $1)
                   and not exists (select from push.queue where message_id = $1) and not exists (select from push.batch where $1 = any (messages))
                """);
            ask.Parameters.AddWithValue(id);
            if ((bool)(await ask.ExecuteScalarAsync())!)
            {
                break;
            }
            await Task.Delay(count > _few ? 50 : 10);
        }
        var seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        await using var accepted = source.CreateCommand("select count(*) from push.delivery where message_id = $1 and state = 'accepted'");
        accepted.Parameters.AddWithValue(id);
        var sent = (long)(await accepted.ExecuteScalarAsync())!;
        return sent == count ? count / seconds : throw new InvalidOperationException($"{sent} of {count} were accepted.");
    }

    private async Task<int> BackendAsync()
    {
        await using var ask = source.CreateCommand("select pg_backend_pid()");
        return (int)(await ask.ExecuteScalarAsync())!;
    }

    private async Task<(long Records, long Bytes)> WalAsync()
    {
        await using var ask = source.CreateCommand("select wal_records, wal_bytes::bigint from pg_stat_wal");
        await using var row = await ask.ExecuteReaderAsync();
        await row.ReadAsync();
        return (row.GetInt64(0), row.GetInt64(1));
    }

    private double PeakMegabytes() =>
        File.ReadLines($"/proc/{service.Id}/status").Where(line => line.StartsWith("VmHWM", StringComparison.Ordinal))
            .Select(line => double.Parse(line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024).Single();
}
