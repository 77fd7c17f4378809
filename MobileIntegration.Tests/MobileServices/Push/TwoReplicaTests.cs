using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>A sender that hears nothing asks again, and may ask another replica while the first is still at it.</summary>
public sealed class TwoReplicaTests(PushService service) : IClassFixture<PushService>
{
    /// <summary>At a time: each holds a connection to the database at both.</summary>
    private const int Pairs = 30;
    private const int Rounds = 3;

    [Fact]
    public async Task The_same_key_at_both_at_the_same_time_makes_one_message_and_both_answer_with_its_id()
    {
        await using var second = service.Start();
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "apns");
        var messages = new Dictionary<string, Guid>();
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var (key, answers) in await TogetherAsync(second.Http, app, (title, _) => title))
            {
                Assert.All(answers, answer => Assert.Equal(HttpStatusCode.Accepted, answer.Status));
                messages[key] = Assert.Single(answers.Select(answer => answer.Body.GetProperty("id").GetGuid()).Distinct());
            }
        }

        Assert.Equal(Pairs * Rounds, messages.Values.Distinct().Count());
        Assert.Equal(Pairs * Rounds, await service.QueryAsync<long>("select count(*) from push.message where app_id = @app", ("app", app)));
        foreach (var (key, id) in messages)
        {
            Assert.Equal(1, (await service.CompletedAsync(id))["accepted"]);
            foreach (var http in new[] { service.Http, second.Http })
            {
                var other = await SendAsync(http, app, key, "Another");
                Assert.Equal((HttpStatusCode.UnprocessableEntity, 422), (other.Status, other.Body.GetProperty("status").GetInt32()));
            }
        }
        Assert.Equal(Pairs * Rounds, service.Apns.Count(device.Address));
    }

    [Fact]
    public async Task Of_two_messages_with_one_key_at_the_same_time_one_is_sent_and_the_other_refused()
    {
        await using var second = service.Start();
        var app = await service.NewReadyAppAsync();
        var device = await service.DeviceAsync(app, "apns");
        var sent = new List<(Guid Id, string Title)>();
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var (_, answers) in await TogetherAsync(second.Http, app, (title, replica) => $"{title} of {replica}"))
            {
                Assert.Equal([HttpStatusCode.Accepted, HttpStatusCode.UnprocessableEntity], answers.Select(answer => answer.Status).Order());
                var (_, body, title) = answers.Single(answer => answer.Status is HttpStatusCode.Accepted);
                sent.Add((body.GetProperty("id").GetGuid(), title));
            }
        }

        foreach (var (id, title) in sent)
        {
            Assert.Equal(1, (await service.CompletedAsync(id))["accepted"]);
            Assert.Equal(title, await service.QueryAsync<string>("select content ->> 'title' from push.message where id = @id", ("id", id)));
        }
        var titles = service.Apns.Journal.Where(pushed => pushed.Address == device.Address).Select(pushed => JsonDocument.Parse(pushed.Body).RootElement.GetProperty("aps").GetProperty("alert").Text("title"));
        Assert.Equal(sent.Select(one => one.Title).Order(), titles.Order());
    }

    [Fact]
    public async Task A_message_that_was_taken_is_answered_with_its_id_at_either_although_it_would_be_refused_by_now()
    {
        await using var second = service.Start();
        var app = await service.NewReadyAppAsync();
        var template = $"/push/apps/{app}/templates/hello";
        using (var saved = await service.Http.PutAsJsonAsync(template, new { title = "Hello" }))
        {
            Assert.True(saved.IsSuccessStatusCode, await saved.Content.ReadAsStringAsync());
        }
        var key = Guid.NewGuid().ToString();
        var message = new { app, audience = "all", template = "hello" };
        var first = await SendAsync(service.Http, key, message);
        Assert.Equal(HttpStatusCode.Accepted, first.Status);
        using (var gone = await service.Http.DeleteAsync(template))
        {
            Assert.True(gone.IsSuccessStatusCode, await gone.Content.ReadAsStringAsync());
        }

        foreach (var http in new[] { service.Http, second.Http })
        {
            var again = await SendAsync(http, key, message);
            Assert.Equal((HttpStatusCode.Accepted, first.Body.GetProperty("id").GetGuid()), (again.Status, again.Body.GetProperty("id").GetGuid()));
            Assert.Equal(HttpStatusCode.BadRequest, (await SendAsync(http, Guid.NewGuid().ToString(), message)).Status);
            Assert.Equal(HttpStatusCode.BadRequest, (await SendAsync(http, key, new { app, audience = "platform == android", template = "hello" })).Status);
        }
    }

    /// <summary>New keys, each at both replicas, all at once.</summary>
    /// <param name="titleOf">Given a title of the key's own and the number of the replica.</param>
    private async Task<Dictionary<string, Sent[]>> TogetherAsync(HttpClient second, string app, Func<string, int, string> titleOf)
    {
        var pairs = await Task.WhenAll(Enumerable.Range(0, Pairs).Select(async _ =>
        {
            var key = Guid.NewGuid().ToString();
            var answers = await Task.WhenAll(SendAsync(service.Http, app, key, titleOf($"Title {key}", 1)), SendAsync(second, app, key, titleOf($"Title {key}", 2)));
            return (Key: key, Answers: answers);
        }));
        return pairs.ToDictionary(pair => pair.Key, pair => pair.Answers);
    }

    private static async Task<Sent> SendAsync(HttpClient http, string app, string key, string title)
    {
        var (status, body) = await SendAsync(http, key, new { app, audience = "all", content = new { title } });
        return new(status, body, title);
    }

    private static async Task<(HttpStatusCode Status, JsonElement Body)> SendAsync(HttpClient http, string key, object message)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/push/messages") { Content = JsonContent.Create(message) };
        request.Headers.Add("Idempotency-Key", key);
        using var answer = await http.SendAsync(request);
        return (answer.StatusCode, await answer.Content.ReadFromJsonAsync<JsonElement>());
    }

    private sealed record Sent(HttpStatusCode Status, JsonElement Body, string Title);
}
