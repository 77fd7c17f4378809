using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using MobileServices.Push.Messages;
using MobileServices.Push.Networks;
using MobileServices.Push.Networks.Fcm;
using MobileServices.Push.Networks.WebPush;

/// <summary>A bare HttpClient that sends over HTTP/2 what a network's requests look like, 50 at a time, made once for all: no queue, no encryption, nothing written down.</summary>
internal static class Loop
{
    public const string Title = "Hello";
    public const string Text = "A message of an ordinary length, as shops send them.";
    public const string App = "com.example.bench";

    /// <returns>Requests a second.</returns>
    public static async Task<double> RunAsync(string network, string address, int count)
    {
        using var http = new HttpClient();
        Func<int, HttpRequestMessage> request = network switch { "fcm" => Fcm(address), "webpush" => WebPush(address), _ => Apns(address) };
        await AllAsync(count);
        var began = Stopwatch.GetTimestamp();
        await AllAsync(count);
        return count / Stopwatch.GetElapsedTime(began).TotalSeconds;

        Task AllAsync(int messages)
        {
            var next = 0;
            return Task.WhenAll(Enumerable.Range(0, 50).Select(async _ =>
            {
                while (Interlocked.Increment(ref next) is var number && number <= messages)
                {
                    using var one = request(number);
                    (one.Version, one.VersionPolicy) = (HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact);
                    using var answer = await http.SendAsync(one);
                    answer.EnsureSuccessStatusCode();
                }
            }));
        }
    }

    /// <summary>A message as a device gets it.</summary>
    public static Outgoing Message(string address, byte[]? p256dh = null, byte[]? auth = null) => new(
        Guid.CreateVersion7(), Guid.CreateVersion7(), address, p256dh, auth, new() { Title = Title, Body = Text }, false, "normal", null, null, 86400, DateTimeOffset.UtcNow.AddDays(1), null);

    /// <summary>Keys of a browser.</summary>
    public static (byte[] P256dh, byte[] Auth) Browser()
    {
        using var browser = ECDiffieHellman.Create(ECCurve.NamedCurves.nistP256);
        var q = browser.ExportParameters(false).Q;
        return ([4, .. q.X!, .. q.Y!], RandomNumberGenerator.GetBytes(16));
    }

    private static Func<int, HttpRequestMessage> Apns(string address)
    {
        var body = "{\"aps\":{\"alert\":{\"title\":\"Hello\",\"body\":\"A message of an ordinary length, as shops send them.\"}}}"u8.ToArray();
        return number =>
        {
            var request = new HttpRequestMessage(HttpMethod.Post, $"{address}/3/device/{number:x64}") { Content = new ByteArrayContent(body) };
            request.Headers.TryAddWithoutValidation("apns-topic", App);
            request.Headers.TryAddWithoutValidation("apns-push-type", "alert");
            return request;
        };
    }

    private static Func<int, HttpRequestMessage> Fcm(string address)
    {
        var body = FcmPayload.Write(Message(1.ToString("x64", CultureInfo.InvariantCulture)), DateTimeOffset.UtcNow);
        var bearer = new AuthenticationHeaderValue("Bearer", Fakes.Bearer);
        return _ =>
        {
            var request = new HttpRequestMessage(HttpMethod.Post, $"{address}/v1/projects/bench/messages:send") { Content = new ByteArrayContent(body) };
            request.Headers.Authorization = bearer;
            return request;
        };
    }

    private static Func<int, HttpRequestMessage> WebPush(string address)
    {
        var (p256dh, auth) = Browser();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var vapid = new Vapid(key.ExportPkcs8PrivateKey(), "mailto:bench@example.com").Authorize(address, DateTimeOffset.UtcNow);
        var body = MessageEncryption.Encrypt(Payload.Write(Message("")), p256dh, auth);
        return number =>
        {
            var request = new HttpRequestMessage(HttpMethod.Post, $"{address}/push/{number:x64}") { Content = new ByteArrayContent(body) };
            request.Headers.TryAddWithoutValidation("Authorization", vapid);
            request.Headers.TryAddWithoutValidation("TTL", "86400");
            request.Headers.TryAddWithoutValidation("Urgency", "normal");
            request.Content.Headers.ContentEncoding.Add("aes128gcm");
            return request;
        };
    }
}
