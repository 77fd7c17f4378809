using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Receipts of our own push service (RFC 8030, sections 5.1 and 6.3).</summary>
public sealed partial class OwnServiceTests
{
    [Fact]
    public async Task A_sender_that_asks_for_a_receipt_has_one_when_the_device_acknowledges_and_410_when_it_never_will()
    {
        using var ada = _service.ClientOf("ada");
        var subscription = await SubscribeAsync(ada, null);
        using var first = await PushAsync(subscription.Endpoint, "one", ("TTL", "60"), ("Prefer", "wait=5, respond-async"));
        Assert.Equal(HttpStatusCode.Accepted, first.StatusCode);
        var link = Assert.Single(first.Headers.GetValues("Link"));
        Assert.EndsWith("; rel=\"urn:ietf:params:push:receipt\"", link);
        var receipts = new Uri(link[1..link.IndexOf('>', StringComparison.Ordinal)]).AbsolutePath;
        var anybody = new HttpClient { BaseAddress = _service.One.Address };
        await using var stream = await DeviceStream.OpenAsync(anybody, receipts);

        // A second one to the same stream; one that ends before the device has it, and one that is replaced, of which nothing is told.
        using var second = await PushAsync(subscription.Endpoint, "two", ("TTL", "1"), ("Prefer", "respond-async"), ("Link", link));
        Assert.Equal(link, Assert.Single(second.Headers.GetValues("Link")));
        using var replaced = await PushAsync(subscription.Endpoint, "three", ("TTL", "60"), ("Topic", "t"), ("Prefer", "respond-async"), ("Link", link));
        using var replacing = await PushAsync(subscription.Endpoint, "four", ("TTL", "60"), ("Topic", "t"), ("Prefer", "respond-async"), ("Link", link));
        Assert.Equal(HttpStatusCode.NoContent, (await ada.DeleteAsync(first.Headers.Location!.AbsolutePath)).StatusCode);

        Assert.Equal((first.Headers.Location.ToString(), 204), Read(await stream.NextAsync()));
        Assert.Equal((second.Headers.Location!.ToString(), 410), Read(await stream.NextAsync()));
        await ada.DeleteAsync($"/push/own/subscriptions/{subscription.Id}");
        Assert.Equal((replacing.Headers.Location!.ToString(), 410), Read(await stream.NextAsync()));

        // A sender that was away goes on where it was.
        using var request = new HttpRequestMessage(HttpMethod.Get, receipts);
        var number = await _service.QueryAsync<long>("select min(number) from push.receipt");
        request.Headers.Add("Last-Event-ID", number.ToString());
        using var answer = await anybody.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await using (var again = new DeviceStream(answer, new(await answer.Content.ReadAsStreamAsync())))
        {
            Assert.Equal((second.Headers.Location.ToString(), 410), Read(await again.NextAsync()));
        }
        anybody.Dispose();

        static (string Message, int Status) Read(JsonElement receipt) => (receipt.Text("message"), receipt.GetProperty("status").GetInt32());
    }

    [Fact]
    public async Task What_has_to_make_room_is_told_and_a_receipt_stream_that_is_not_there_is_refused()
    {
        using var ada = _service.ClientOf("ada");
        var subscription = await SubscribeAsync(ada, null);
        using var made = await _service.Http.PostAsync("/push/receipts", null);
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        var link = Assert.Single(made.Headers.GetValues("Link"));
        using var first = await PushAsync(subscription.Endpoint, "one", ("TTL", "60"), ("Prefer", "respond-async"), ("Link", link));
        for (var number = 1; number <= 3; number++)
        {
            Assert.Equal(HttpStatusCode.Created, (await PushAsync(subscription.Endpoint, $"more {number}", ("TTL", "60"))).StatusCode);
        }
        await using (var stream = await DeviceStream.OpenAsync(_service.Http, made.Headers.Location!.AbsolutePath))
        {
            var receipt = await stream.NextAsync();
            Assert.Equal((first.Headers.Location!.ToString(), 410), (receipt.Text("message"), receipt.GetProperty("status").GetInt32()));
        }

        Assert.Equal(HttpStatusCode.NoContent, (await _service.Http.DeleteAsync(made.Headers.Location.AbsolutePath)).StatusCode);
        await (await _service.Http.GetAsync(made.Headers.Location.AbsolutePath)).ProblemAsync(404);
        await (await PushAsync(subscription.Endpoint, "two", ("TTL", "60"), ("Prefer", "respond-async"), ("Link", link))).ProblemAsync(400);
        using var stranger = new HttpClient { BaseAddress = _service.One.Address };
        await (await stranger.PostAsync("/push/receipts", null)).ProblemAsync(401);
    }

    [Fact]
    public async Task Web_push_from_npm_asks_for_a_receipt_as_well()
    {
        using var key = ECDiffieHellman.Create(ECCurve.NamedCurves.nistP256);
        var point = key.PublicKey.ExportParameters().Q;
        var keys = new { p256dh = Base64Url.EncodeToString([4, .. point.X!, .. point.Y!]), auth = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16)) };
        using var ada = _service.ClientOf("ada");
        var subscription = await SubscribeAsync(ada, null);

        var answer = await WebPushAsync(subscription.Endpoint, keys, null, "with a receipt", new { TTL = 60, headers = new { Prefer = "respond-async" } });

        Assert.Equal(202, answer.GetProperty("status").GetInt32());
        Assert.StartsWith($"<{_front.Address}/push/receipt/", answer.GetProperty("headers").Text("link"));
        Assert.StartsWith($"{_front.Address}/push/message/", answer.GetProperty("headers").Text("location"));
    }
}
