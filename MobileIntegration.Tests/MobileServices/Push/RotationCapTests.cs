using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Devices that take new addresses at the moment when messages with a frequency cap, which locks them, are claimed.</summary>
public sealed class RotationCapTests : IAsyncLifetime
{
    private const int Devices = 40;
    private const int Rounds = 3;

    private readonly PushService _service = new() { More = [("Push:Batch", "10"), ("Push:TimeoutSeconds", "30"), ("Push:LeaseSeconds", "90")] };

    public Task InitializeAsync() => _service.InitializeAsync();

    public Task DisposeAsync() => _service.DisposeAsync();

    [Fact]
    public async Task Each_gets_a_capped_message_once_at_its_new_address_and_nothing_fails_on_the_way()
    {
        var log = LogLines.Of(_service.One);
        var app = await _service.NewReadyAppAsync();
        var devices = await Task.WhenAll(Enumerable.Range(0, Devices).Select(number => _service.DeviceAsync(app, number % 2 is 0 ? "fcm" : "apns", user: $"user{number}")));
        for (var round = 1; round <= Rounds; round++)
        {
            var rotated = new ConcurrentDictionary<string, TaskCompletionSource>(devices.Select(device => KeyValuePair.Create(device.Address, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously))));
            foreach (var device in devices)
            {
                // The address before is a dead one, which its network says once the device has taken another.
                Fake(device.Network).Script(device.Address, async (http, number) =>
                {
                    await rotated[device.Address].Task;
                    await DeadAsync(device.Network, http, number);
                });
            }
            // To the other network and back.
            var renewed = devices.Select(device => device with { Network = Other(device.Network), Address = Other(device.Network) is "fcm" ? PushService.FcmToken() : PushService.ApnsToken() }).ToArray();

            var sending = _service.SendAsync(new { app, audience = "all", content = new { title = $"{round}" }, category = $"news{round}", frequencyCap = new { count = 1, hours = 24 } });
            // RegisterAsync asserts that it was taken.
            await Task.WhenAll(devices.Zip(renewed).Select(async pair =>
            {
                await _service.RegisterAsync(pair.Second);
                rotated[pair.First.Address].SetResult();
            }));
            var message = await sending;

            Assert.Equal(new() { ["accepted"] = Devices }, await _service.CompletedAsync(message));
            Assert.All(renewed, device => Assert.Equal(1, Fake(device.Network).Count(device.Address)));
            Assert.All(devices, device => Assert.InRange(Fake(device.Network).Count(device.Address), round is 1 ? 0 : 1, round is 1 ? 1 : 2));
            // It counts, wherever it went.
            var second = await _service.SendAsync(new { app, audience = "all", content = new { title = "Again" }, category = $"news{round}", frequencyCap = new { count = 1, hours = 24 } });
            Assert.Equal(new() { ["capped"] = Devices }, await _service.CompletedAsync(second));
            devices = renewed;
        }
        Assert.Equal(Devices, await _service.QueryAsync<long>("select count(*) from push.registration where app_id = @app", ("app", app)));
        Assert.DoesNotContain(log.All, line => line.Level >= LogLevel.Error);
    }

    private static Task DeadAsync(string network, HttpContext http, int number) => (network is "apns"
        ? FakeNetwork.Answer(410, new { reason = "Unregistered", timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() })
        : FakeNetwork.Answer(
            (int)HttpStatusCode.NotFound,
            new { error = new { details = new[] { new Dictionary<string, string> { ["@type"] = "type.googleapis.com/google.firebase.fcm.v1.FcmError", ["errorCode"] = "UNREGISTERED" } } } }))(http, number);

    private static string Other(string network) => network is "fcm" ? "apns" : "fcm";

    private FakeNetwork Fake(string network) => network is "fcm" ? _service.Fcm : _service.Apns;
}
