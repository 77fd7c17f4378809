using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Options;
using MobileServices.Push;
using MobileServices.Push.Networks;
using MobileServices.Push.Networks.Apns;
using MobileServices.Push.Networks.WebPush;

/// <summary>The networks' senders alone, without a queue, beside the npm packages @parse/node-apn and web-push: over TLS, to the same fake (nginx), in turns.</summary>
internal static class Senders
{
    // Before that: the runtime compiles what is used much anew, and counts in it for some ten seconds, which costs a fifth.
    private const int ApnsWarmup = 400_000;
    private const int ApnsMessages = 100_000;
    private const int WebPushWarmup = 20_000;
    private const int WebPushMessages = 6000;

    /// <param name="folder">With the fake's certificates.</param>
    public static async Task CompareAsync(string folder, int port, IReadOnlyDictionary<string, string> trust, int rounds, Targets targets)
    {
        List<double> apns = [];
        List<double> web = [];
        Console.WriteLine("sender alone, TLS       ours/s     npm's/s   ratio");
        for (var round = 0; round < rounds; round++)
        {
            apns.Add(Line("apns / node-apn", await Children.AskSelfAsync(["sender", "apns", $"{port}"], trust), await NodeApnAsync(folder, port, trust)));
            web.Add(Line("web push / web-push", await Children.AskSelfAsync(["sender", "webpush", $"{port}"], trust), await WebPushAsync(port, trust)));
        }
        targets.Add("sender of APNs alone : node-apn", Targets.Median(apns), 3);
        targets.Add("sender of Web Push alone : web-push", Targets.Median(web), 3);
    }

    /// <returns>What npm's web-push sends in a second.</returns>
    public static Task<double> WebPushAsync(int port, IReadOnlyDictionary<string, string> trust) => Children.AskAsync("node", [Script, "webpush", $"{port}", "", "", $"{WebPushMessages}"], trust);

    /// <returns>Messages a second.</returns>
    public static async Task<double> OursAsync(string name, int port)
    {
        var options = Options.Create(new PushOptions { AllowPrivateEndpoints = true, ApnsAddress = $"https://localhost:{port}" });
        using var http = new PushHttp(options);
        INetwork network = name is "apns" ? new ApnsNetwork(http, options, TimeProvider.System) : new WebPushNetwork(http, options, TimeProvider.System);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var settings = name is "apns"
            ? new JsonObject { ["keyId"] = "ABCDE12345", ["teamId"] = "TEAM123456", ["topic"] = Loop.App, ["sandbox"] = false }
            : new JsonObject { ["subject"] = "mailto:bench@example.com" };
        var credential = network.Open(new(settings, key.ExportPkcs8PrivateKey()));
        // With keys APNs would be given ciphertext, which node-apn knows nothing of.
        (byte[]? p256dh, byte[]? auth) = name is "apns" ? (null, null) : Loop.Browser();
        var one = Loop.Message($"https://localhost:{port}/push/1", p256dh, auth);
        var count = name is "apns" ? ApnsMessages : WebPushMessages;
        await SendAsync(name is "apns" ? ApnsWarmup : WebPushWarmup);
        var began = Stopwatch.GetTimestamp();
        await SendAsync(count);
        return count / Stopwatch.GetElapsedTime(began).TotalSeconds;

        async Task SendAsync(int messages)
        {
            var next = 0;
            await Task.WhenAll(Enumerable.Range(0, 50).Select(async _ =>
            {
                while (Interlocked.Increment(ref next) is var number && number <= messages)
                {
                    var message = one with { DeviceId = Guid.CreateVersion7(), Address = name is "apns" ? number.ToString("x64", CultureInfo.InvariantCulture) : one.Address };
                    var outcome = await network.SendAsync(credential, message, CancellationToken.None);
                    if (outcome.Class is not OutcomeClass.Accepted || outcome.NetworkId is null)
                    {
                        throw new InvalidOperationException($"{name}: {outcome.Class}, {outcome.Reason}, {outcome.NetworkId}");
                    }
                }
            }));
        }
    }

    private static string Script => Path.GetFullPath("benchmarks/push/peers.mjs");

    private static async Task<double> NodeApnAsync(string folder, int port, IReadOnlyDictionary<string, string> trust)
    {
        var file = Path.Combine(folder, "apns.p8");
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await File.WriteAllTextAsync(file, key.ExportPkcs8PrivateKeyPem());
        return await Children.AskAsync("node", [Script, "apns", $"{port}", Path.Combine(folder, "ca.pem"), file, $"{ApnsMessages}"], trust);
    }

    private static double Line(string what, double ours, double theirs)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-20}{ours,10:0}{theirs,12:0}{ours / theirs,8:0.0}"));
        return ours / theirs;
    }
}
