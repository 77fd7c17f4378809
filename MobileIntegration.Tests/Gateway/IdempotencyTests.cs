using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace MobileIntegration.Tests.Gateway;

/// <summary>What a caller may rely on who sends an Idempotency-Key.</summary>
public sealed class IdempotencyTests(IdempotentGateways gateways) : IClassFixture<IdempotentGateways>, IDisposable
{
    private readonly string _key = KeyedCalls.NewKey();

    public void Dispose() => gateways.Answer = IdempotentGateways.MadeAsync;

    [Theory]
    [InlineData("POST")]
    [InlineData("PATCH")]
    public async Task A_retry_through_the_other_replica_gets_the_same_answer_and_the_service_is_called_once(string method)
    {
        using var first = await gateways.One.SendAsync(_key, method: method);
        using var retry = await gateways.Other.SendAsync(_key, method: method);
        Assert.Equal(HttpStatusCode.Created, first.StatusCode);
        Assert.False(first.IsReplayed());
        Assert.Equal("true", retry.Headers.GetValues("Idempotency-Replayed").Single());
        Assert.Equal(first.StatusCode, retry.StatusCode);
        Assert.Equal(await first.Content.ReadAsByteArrayAsync(), await retry.Content.ReadAsByteArrayAsync());
        foreach (var name in (string[])["Location", "ETag", "X-Part"])
        {
            Assert.Equal(first.Headers.GetValues(name), retry.Headers.GetValues(name));
        }
        Assert.Equal("application/vnd.order+json; charset=utf-8", retry.Content.Headers.ContentType?.ToString());
        Assert.Equal(_key, gateways.Effects(_key).Single().Headers["Idempotency-Key"]);
    }

    [Fact]
    public async Task A_quoted_key_and_the_bare_one_are_the_same()
    {
        using var first = await gateways.One.SendAsync($"\"{_key}\"");
        using var retry = await gateways.One.SendAsync(_key);
        Assert.True(retry.IsReplayed());
        Assert.Empty(gateways.Effects(_key));
        Assert.Single(gateways.Effects($"\"{_key}\""));
    }

    [Fact]
    public async Task The_same_key_with_something_else_is_a_422()
    {
        using var first = await gateways.One.SendAsync(_key);
        await (await gateways.Other.SendAsync(_key, body: """{"sku":"100002"}""")).ProblemAsync(422);
        await (await gateways.Other.SendAsync(_key, path: "/api/home/orders?express=1")).ProblemAsync(422);
        await (await gateways.Other.SendAsync(_key, type: "text/plain")).ProblemAsync(422);
        Assert.Single(gateways.Effects(_key));
    }

    [Fact]
    public async Task While_the_first_call_is_under_way_a_retry_is_a_409_and_then_gets_the_answer()
    {
        var held = new HeldAnswers();
        gateways.Answer = held.AnswerAsync;
        var first = gateways.One.SendAsync(_key);
        await held.ReachedAsync(_key);
        using (var early = await gateways.Other.SendAsync(_key))
        {
            await early.ProblemAsync(409);
            Assert.Equal(TimeSpan.FromSeconds(1), early.Headers.RetryAfter?.Delta);
        }
        await (await gateways.Other.SendAsync(_key, body: "{}")).ProblemAsync(422);
        held.Free(_key);
        Assert.Equal(HttpStatusCode.Created, (await first).StatusCode);
        Assert.True((await gateways.Other.SendAsync(_key)).IsReplayed());
        Assert.Single(gateways.Effects(_key));
    }

    [Fact]
    public async Task A_key_is_the_callers_own_and_of_one_path_and_method()
    {
        var ada = TestAuthority.Shared.Token("home", token => token.Claims["client_id"] = "shop");
        var adaElsewhere = TestAuthority.Shared.Token("home", token => token.Claims["client_id"] = "till");
        var grace = TestAuthority.Shared.Token("home", token => (token.Claims["sub"], token.Claims["client_id"]) = ("grace", "shop"));
        var answers = new[]
        {
            await gateways.One.SendAsync(_key, token: ada),
            await gateways.One.SendAsync(_key, token: adaElsewhere),
            await gateways.One.SendAsync(_key, token: grace),
            await gateways.One.SendAsync(_key, token: ada, path: "/api/home/baskets"),
            await gateways.One.SendAsync(_key, token: ada, method: "PATCH"),
        };
        Assert.All(answers, answer => Assert.Equal((HttpStatusCode.Created, false), (answer.StatusCode, answer.IsReplayed())));
        Assert.Equal(5, gateways.Effects(_key).Length);
        Assert.True((await gateways.Other.SendAsync(_key, token: grace)).IsReplayed());
    }

    [Fact]
    public async Task After_its_time_a_key_is_a_new_one_and_the_worker_removes_it()
    {
        using var first = await gateways.One.SendAsync(_key);
        await gateways.SqlAsync("update gateway.idempotency set expires_at = now()");
        using var again = await gateways.Other.SendAsync(_key, body: "{}");
        Assert.Equal((HttpStatusCode.Created, false), (again.StatusCode, again.IsReplayed()));
        Assert.Equal(2, gateways.Effects(_key).Length);
        Assert.Equal(23L, await gateways.SqlAsync("select extract(hour from max(expires_at) - now())::bigint from gateway.idempotency"));

        await gateways.SqlAsync("update gateway.idempotency set expires_at = now()");
        await gateways.One.Services.GetRequiredService<global::Gateway.IdempotencyStore>().RemoveExpiredAsync(CancellationToken.None);
        Assert.Equal(0L, await gateways.SqlAsync("select count(*) from gateway.idempotency where expires_at <= now()"));
    }

    [Theory]
    [InlineData(401)]
    [InlineData(408)]
    [InlineData(429)]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(504)]
    public async Task An_answer_after_which_a_retry_is_right_passes_and_is_not_kept(int status)
    {
        gateways.Answer = context => Results.Problem("not now", statusCode: status).ExecuteAsync(context);
        using (var first = await gateways.One.SendAsync(_key))
        {
            Assert.Equal(status, (int)first.StatusCode);
            Assert.Contains("not now", await first.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
        gateways.Answer = IdempotentGateways.MadeAsync;
        Assert.Equal(HttpStatusCode.Created, (await gateways.Other.SendAsync(_key)).StatusCode);
        Assert.Equal(2, gateways.Effects(_key).Length);
    }

    [Theory]
    [InlineData(200)]
    [InlineData(400)]
    [InlineData(409)]
    [InlineData(500)]
    public async Task Every_other_answer_is_kept(int status)
    {
        gateways.Answer = context => Results.Text("so it is", "text/plain", statusCode: status).ExecuteAsync(context);
        using var first = await gateways.One.SendAsync(_key);
        gateways.Answer = IdempotentGateways.MadeAsync;
        using var retry = await gateways.Other.SendAsync(_key);
        Assert.Equal((status, true, "so it is"), ((int)retry.StatusCode, retry.IsReplayed(), await retry.Content.ReadAsStringAsync()));
        Assert.Single(gateways.Effects(_key));
    }

    [Fact]
    public async Task An_answer_without_a_body_is_kept()
    {
        gateways.Answer = context => Results.NoContent().ExecuteAsync(context);
        using var first = await gateways.One.SendAsync(_key);
        using var retry = await gateways.Other.SendAsync(_key);
        Assert.Equal((HttpStatusCode.NoContent, true), (retry.StatusCode, retry.IsReplayed()));
    }

    [Fact]
    public async Task After_a_service_that_breaks_off_the_retry_reaches_it()
    {
        gateways.Answer = async context =>
        {
            context.Response.ContentLength = 100;
            await context.Response.WriteAsync("half of it");
            await context.Response.Body.FlushAsync();
            context.Abort();
        };
        await (await gateways.One.SendAsync(_key)).ProblemAsync(502);
        gateways.Answer = IdempotentGateways.MadeAsync;
        Assert.Equal(HttpStatusCode.Created, (await gateways.One.SendAsync(_key)).StatusCode);
    }

    [Fact]
    public async Task After_a_service_that_stays_silent_the_retry_reaches_it()
    {
        await using var hasty = gateways.Start(("Limits:RequestSeconds", "1"));
        gateways.Answer = new HeldAnswers().AnswerAsync;
        await (await hasty.SendAsync(_key)).ProblemAsync(504);
        gateways.Answer = IdempotentGateways.MadeAsync;
        Assert.Equal(HttpStatusCode.Created, (await gateways.One.SendAsync(_key)).StatusCode);
    }

    [Fact]
    public async Task A_service_that_never_ends_its_answer_is_cut_at_the_limit_of_a_request()
    {
        await using var hasty = gateways.Start(("Limits:RequestSeconds", "1"));
        gateways.Answer = async context =>
        {
            while (!context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.WriteAsync("drop");
                await Task.WhenAny(Task.Delay(100, context.RequestAborted));
            }
        };
        await (await hasty.SendAsync(_key)).ProblemAsync(504);
    }

    [Theory]
    [InlineData("application/json", (1 << 20) + 1)]
    [InlineData("text/event-stream", 10)]
    public async Task An_answer_too_large_or_a_stream_passes_whole_and_its_retry_is_told_so_without_a_second_effect(string type, int length)
    {
        gateways.Answer = context => Results.Text(new string('x', length), type).ExecuteAsync(context);
        using var first = await gateways.One.SendAsync(_key);
        Assert.Equal(length, (await first.Content.ReadAsByteArrayAsync()).Length);
        await Eventually.TrueAsync(async () => await gateways.SqlAsync("select count(*) from gateway.idempotency where status is null") is 0L, TimeSpan.FromSeconds(30));
        using var retry = await gateways.Other.SendAsync(_key);
        var problem = await retry.ProblemAsync(409);
        Assert.Contains("answered with 200", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Null(retry.Headers.RetryAfter);
        Assert.Single(gateways.Effects(_key));
    }

    [Fact]
    public async Task An_answer_of_the_limit_is_kept()
    {
        gateways.Answer = context => Results.Text(new string('x', 1 << 20)).ExecuteAsync(context);
        using var first = await gateways.One.SendAsync(_key);
        using var retry = await gateways.Other.SendAsync(_key);
        Assert.True(retry.IsReplayed());
        Assert.Equal(1 << 20, (await retry.Content.ReadAsByteArrayAsync()).Length);
    }

    [Theory]
    [InlineData("\"")]
    [InlineData("\"\"")]
    [InlineData("\"open")]
    [InlineData("\"a\" b")]
    [InlineData("\"a\\b\"")]
    [InlineData("a b")]
    [InlineData("a,b")]
    public async Task What_is_no_key_is_a_400(string key) => await RefusedAsync(key);

    [Fact]
    public async Task A_key_is_at_most_255_characters_long()
    {
        await RefusedAsync(new string('k', 256));
        await RefusedAsync($"\"{new string('k', 256)}\"");
        // No HTTP client would send it.
        Assert.Null(MobileIntegration.ServiceDefaults.IdempotencyKey.Read("schlüssel"));
        Assert.Equal(HttpStatusCode.Created, (await gateways.One.SendAsync(_key.PadRight(255, 'k'))).StatusCode);
    }

    [Fact]
    public async Task Without_a_key_every_call_is_one_and_a_method_that_is_idempotent_needs_none()
    {
        var before = gateways.Effects().Length;
        for (var i = 0; i < 2; i++)
        {
            Assert.False((await gateways.One.SendAsync(null)).IsReplayed());
            Assert.False((await gateways.One.SendAsync(_key, method: "PUT")).IsReplayed());
            // Nobody to keep an answer for.
            Assert.False((await gateways.One.SendAsync(_key, path: "/devices/init", more: request => request.Headers.Authorization = new("None"))).IsReplayed());
        }
        Assert.Equal(6, gateways.Effects().Length - before);
    }

    [Fact]
    public async Task A_call_that_may_not_be_made_is_not_noted()
    {
        await (await gateways.One.SendAsync(_key, token: TestAuthority.Shared.Token("devices"))).ProblemAsync(403);
        await (await gateways.One.SendAsync(_key, body: new string('x', (1 << 20) + 1))).ProblemAsync(413);
        Assert.Equal(HttpStatusCode.Created, (await gateways.One.SendAsync(_key)).StatusCode);
        Assert.Single(gateways.Effects(_key));
    }

    [Fact]
    public async Task Keyed_calls_are_counted_by_what_became_of_them()
    {
        var outcomes = new ConcurrentQueue<string?>();
        var factory = gateways.One.Services.GetRequiredService<IMeterFactory>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name is "mobile.gateway.idempotency" && instrument.Meter.Scope == factory)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((_, _, tags, _) => outcomes.Enqueue(tags[0].Value?.ToString()));
        listener.Start();
        await gateways.One.SendAsync(_key);
        await gateways.One.SendAsync(_key);
        await gateways.One.SendAsync(_key, body: "{}");
        await gateways.One.SendAsync("no key");
        Assert.Equal(["kept", "replayed", "other_body", "invalid"], outcomes);
    }

    private async Task RefusedAsync(string key)
    {
        var before = gateways.Effects().Length;
        var problem = await (await gateways.One.SendAsync(key)).ProblemAsync(400);
        Assert.Contains("Idempotency-Key", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal(before, gateways.Effects().Length);
    }
}
