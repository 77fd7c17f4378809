using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Receipts that are there later than others with a higher number.</summary>
public sealed class ReceiptOrderTests(PushService service) : IClassFixture<PushService>
{
    private const int Latch = 47;

    [Fact]
    public async Task A_stream_of_receipts_misses_none_that_was_written_before_another_and_is_there_after_it()
    {
        using var ada = service.ClientOf("ada");
        using var made = await service.Http.PostAsync("/push/receipts", null);
        var link = Assert.Single(made.Headers.GetValues("Link"));
        var pushed = new List<Uri>();
        var endpoint = await SubscribeAsync();
        for (var at = 0; at < 3; at++)
        {
            pushed.Add(await PushAsync(endpoint));
        }
        // The first acknowledgement has its number, and its commit waits.
        await service.QueryAsync<object>(
            $"""
            create function public.late() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock_shared({Latch}); return null; end';
            create constraint trigger late after insert on push.receipt deferrable initially deferred for each row
                when (new.message_id = '{pushed[0].Segments[^1]}') execute function public.late();
            select 1
            """);
        await using var holder = new NpgsqlConnection(service.Database);
        await holder.OpenAsync();
        await using var latch = await holder.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand($"select pg_advisory_xact_lock({Latch})", holder, latch))
        {
            await hold.ExecuteNonQueryAsync();
        }
        await using var stream = await DeviceStream.OpenAsync(service.Http, made.Headers.Location!.AbsolutePath);
        var first = ada.DeleteAsync(pushed[0].AbsolutePath);
        // The reader may wait for it already.
        await Eventually.TrueAsync(() => WaitsAsync(1), PushService.Patience);

        Assert.Equal(HttpStatusCode.NoContent, (await ada.DeleteAsync(pushed[1].AbsolutePath)).StatusCode);

        // The reader has the second, or waits for the first.
        var next = stream.NextAsync();
        await Eventually.TrueAsync(async () => next.IsCompleted || await WaitsAsync(2), PushService.Patience);
        await latch.CommitAsync();
        Assert.Equal(HttpStatusCode.NoContent, (await first).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await ada.DeleteAsync(pushed[2].AbsolutePath)).StatusCode);
        var told = new[] { await next, await stream.NextAsync(), await stream.NextAsync() };
        Assert.Equal(pushed.Select(location => location.ToString()), told.Select(receipt => receipt.Text("message")));

        async Task<bool> WaitsAsync(int count) =>
            await service.QueryAsync<long>("select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory'") >= count;

        async Task<string> SubscribeAsync()
        {
            using var answer = await ada.PostAsJsonAsync("/push/own/subscriptions", new { });
            return new Uri((await answer.Content.ReadFromJsonAsync<JsonElement>()).Text("endpoint")).AbsolutePath;
        }

        async Task<Uri> PushAsync(string path)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent("body") };
            request.Headers.Add("TTL", "60");
            request.Headers.Add("Prefer", "respond-async");
            request.Headers.Add("Link", link);
            using var answer = await service.Http.SendAsync(request);
            Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
            return answer.Headers.Location!;
        }
    }
}
