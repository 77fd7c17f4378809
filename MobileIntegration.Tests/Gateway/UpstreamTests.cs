using System.Collections.Concurrent;
using System.Net;
using System.Net.WebSockets;
using Gateway;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using MobileIntegration.Contracts;

namespace MobileIntegration.Tests.Gateway;

/// <summary>One service at two destinations that fail in every way.</summary>
public sealed class UpstreamTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private Upstream _one = null!;
    private Upstream _two = null!;
    private RequestDelegate _oneAnswers = AnswerAsync;
    private RequestDelegate _twoAnswers = AnswerAsync;
    private (string Key, string Value) _database;

    public async Task InitializeAsync()
    {
        _one = await Upstream.StartAsync(context => _oneAnswers(context));
        _two = await Upstream.StartAsync(context => _twoAnswers(context));
        _database = ("ConnectionStrings:mobiledb", await TestPostgres.CreateDatabaseAsync());
    }

    public async Task DisposeAsync()
    {
        await _one.DisposeAsync();
        await _two.DisposeAsync();
    }

    [Fact]
    public async Task When_one_of_two_destinations_dies_under_load_no_GET_fails()
    {
        await using var gateway = Start();
        var answers = 0;
        using var stop = new CancellationTokenSource();
        var failures = new ConcurrentBag<string>();
        var load = Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                using var response = await gateway.Http.GetAsync("/api/home");
                if (response.StatusCode is not HttpStatusCode.OK)
                {
                    failures.Add(response.StatusCode.ToString());
                }
                Interlocked.Increment(ref answers);
            }
        })));
        await Eventually.TrueAsync(() => Reached(_one) > 200 && Reached(_two) > 200, Patience);
        await _one.DisposeAsync();
        var (then, before) = (answers, Reached(_two));
        await Eventually.TrueAsync(() => answers > then + 1000, Patience);
        await stop.CancelAsync();
        await load;
        Assert.Empty(failures);
        Assert.InRange(Reached(_two) - before, 900, int.MaxValue);
    }

    [Fact]
    public async Task When_all_destinations_fail_retries_add_at_most_a_tenth()
    {
        _oneAnswers = _twoAnswers = FailAsync;
        await using var gateway = Start(("Upstream:BreakerCalls", "1000000"));
        await CallAsync(gateway, 2000, HttpStatusCode.ServiceUnavailable);
        Assert.InRange(Reached(_one) + Reached(_two), 2150, 2200);
    }

    [Fact]
    public async Task A_destination_that_fails_is_left_alone_and_tried_again()
    {
        _oneAnswers = _twoAnswers = FailAsync;
        await using var gateway = Start(("Upstream:BreakerSeconds", "1"));
        await CallAsync(gateway, 1000, HttpStatusCode.ServiceUnavailable);
        Assert.InRange(Reached(_one) + Reached(_two), 20, 300);
        using var refused = await gateway.Http.PostAsync("/api/home/orders", null);
        await refused.ProblemAsync(503);
        Assert.Equal(TimeSpan.FromSeconds(1), refused.Headers.RetryAfter?.Delta);

        _oneAnswers = _twoAnswers = AnswerAsync;
        await Eventually.TrueAsync(async () => (await gateway.Http.GetAsync("/api/home")).IsSuccessStatusCode, Patience);
        await Eventually.TrueAsync(async () =>
        {
            var (one, two) = (Reached(_one), Reached(_two));
            await CallAsync(gateway, 20, null);
            return Reached(_one) > one && Reached(_two) > two;
        }, Patience);
    }

    [Fact]
    public async Task Clients_that_go_away_are_no_failures_of_a_destination()
    {
        var left = 0;
        _oneAnswers = _twoAnswers = async context =>
        {
            var ended = new TaskCompletionSource();
            await using (context.RequestAborted.Register(ended.SetResult))
            {
                await ended.Task;
            }
            Interlocked.Increment(ref left);
        };
        await using var gateway = Start(("Upstream:BreakerCalls", "10"));
        using var leave = new CancellationTokenSource();
        var calls = Enumerable.Range(0, 100).Select(number => gateway.Http.GetAsync($"/api/home?number={number}", leave.Token)).ToList();
        await Eventually.TrueAsync(() => Reached(_one) + Reached(_two) is 100, Patience);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(calls));
        await Eventually.TrueAsync(() => Volatile.Read(ref left) is 100, Patience);

        _oneAnswers = _twoAnswers = AnswerAsync;
        await CallAsync(gateway, 50, HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_call_that_changes_something_is_made_once_however_it_fails()
    {
        _oneAnswers = _twoAnswers = FailAsync;
        await using var gateway = Start(("Upstream:BreakerCalls", "1000"));
        foreach (var (method, key) in ((string, string?)[])[("POST", null), ("POST", "key-1"), ("PUT", null), ("PATCH", null), ("DELETE", null)])
        {
            using var response = await gateway.SendAsync(key, method: method);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        }
        Assert.Equal(5, Reached(_one) + Reached(_two));
    }

    [Fact]
    public async Task A_destination_that_says_when_to_come_back_is_believed()
    {
        _oneAnswers = _twoAnswers = context =>
        {
            context.Response.Headers.RetryAfter = "7";
            return FailAsync(context);
        };
        await using var gateway = Start();
        using var response = await gateway.Http.GetAsync("/api/home");
        Assert.Equal(TimeSpan.FromSeconds(7), response.Headers.RetryAfter?.Delta);
        Assert.Equal("failed", await response.Content.ReadAsStringAsync());
        Assert.Equal(1, Reached(_one) + Reached(_two));
    }

    [Fact]
    public async Task The_answer_of_a_retry_has_nothing_of_the_first()
    {
        _oneAnswers = context =>
        {
            context.Response.Headers["X-One"] = "1";
            return FailAsync(context);
        };
        await using var gateway = Start();
        for (var call = 0; Reached(_one) < 3; call++)
        {
            Assert.InRange(call, 0, 200);
            using var response = await gateway.Http.GetAsync("/api/home");
            Assert.Equal((HttpStatusCode.OK, "answer"), (response.StatusCode, await response.Content.ReadAsStringAsync()));
            Assert.False(response.Headers.Contains("X-One"));
        }
    }

    [Fact]
    public async Task Without_a_budget_nothing_is_retried()
    {
        _oneAnswers = _twoAnswers = FailAsync;
        await using var gateway = Start(("Upstream:RetryPercent", "0"));
        await CallAsync(gateway, 10, HttpStatusCode.ServiceUnavailable);
        Assert.Equal(10, Reached(_one) + Reached(_two));
    }

    [Fact]
    public async Task A_destination_that_says_it_is_not_well_gets_no_calls_until_it_is()
    {
        _one.Healthy = false;
        await using var gateway = Start(("Upstream:ProbeSeconds", "1"));
        await Eventually.TrueAsync(async () => await NewCallsAsync() is (0, 20), Patience);
        _one.Healthy = true;
        await Eventually.TrueAsync(async () => await NewCallsAsync() is ( > 0, > 0), Patience);
        _one.Healthy = _two.Healthy = false;
        await Eventually.TrueAsync(async () => await NewCallsAsync() is ( > 0, > 0), Patience);

        async Task<(int One, int Two)> NewCallsAsync()
        {
            var (one, two) = (Reached(_one), Reached(_two));
            await CallAsync(gateway, 20, HttpStatusCode.OK);
            return (Reached(_one) - one, Reached(_two) - two);
        }
    }

    [Fact]
    public async Task A_route_may_have_less_time_than_the_others()
    {
        var never = new TaskCompletionSource();
        _oneAnswers = context => never.Task.WaitAsync(context.RequestAborted);
        await using var gateway = Start(("Authentication:InternalAddress", TestAuthority.Shared.Address), TestServices.At("identity", _one.Address));
        using var late = await gateway.Http.PostAsync("/identity/connect/token", null);
        await late.ProblemAsync(504);
    }

    [Fact]
    public async Task A_stream_of_events_goes_on_beyond_the_time_of_a_request_and_is_not_held_back()
    {
        _oneAnswers = _twoAnswers = async context =>
        {
            context.Response.ContentType = "text/event-stream";
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
            for (var n = 0; n < 15; n++)
            {
                await context.Response.WriteAsync($"data: {n}\n\n");
                await context.Response.Body.FlushAsync();
                await timer.WaitForNextTickAsync();
            }
        };
        await using var gateway = Start(("Limits:RequestSeconds", "2"));
        using var response = await gateway.Http.GetAsync("/api/home/events", HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.Equal("data: 0", await reader.ReadLineAsync());
        Assert.Contains("data: 14", await reader.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_WebSocket_passes_both_ways_and_a_long_poll_is_answered_when_there_is_something()
    {
        var something = new TaskCompletionSource<string>();
        var polled = new TaskCompletionSource();
        var (home, http) = await TestServices.StartAsync(_ => { }, app =>
        {
            app.UseWebSockets();
            app.MapGet("/api/home/poll", () =>
            {
                polled.TrySetResult();
                return something.Task;
            });
            app.MapGet("/api/home/socket", async (HttpContext context) =>
            {
                using var socket = await context.WebSockets.AcceptWebSocketAsync("chat");
                var message = new byte[200_000];
                while (await socket.ReceiveAsync(message, context.RequestAborted) is { MessageType: not WebSocketMessageType.Close } received)
                {
                    await socket.SendAsync(message.AsMemory(0, received.Count), received.MessageType, received.EndOfMessage, context.RequestAborted);
                }
                await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "bye", context.RequestAborted);
            });
        });
        await using var _ = home;
        using var __ = http;
        await using var gateway = new TestService<DiscoveredDestinations>(_database, TestServices.At("home", http.BaseAddress!));

        using var client = new ClientWebSocket();
        client.Options.SetRequestHeader("Authorization", $"Bearer {TestAuthority.AllScopes}");
        client.Options.AddSubProtocol("chat");
        await client.ConnectAsync(new($"ws://{gateway.Address.Authority}/api/home/socket"), CancellationToken.None);
        Assert.Equal("chat", client.SubProtocol);
        var sent = new byte[100_000];
        Random.Shared.NextBytes(sent);
        await client.SendAsync(sent, WebSocketMessageType.Binary, endOfMessage: true, CancellationToken.None);
        var (back, read) = (new byte[sent.Length], 0);
        while (read < sent.Length)
        {
            read += (await client.ReceiveAsync(back.AsMemory(read), CancellationToken.None)).Count;
        }
        Assert.Equal(sent, back);
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
        Assert.Equal("bye", client.CloseStatusDescription);

        var poll = gateway.Http.GetStringAsync("/api/home/poll");
        await polled.Task.WaitAsync(Patience);
        Assert.False(poll.IsCompleted);
        something.SetResult("news");
        Assert.Equal("news", await poll.WaitAsync(Patience));
    }

    private TestService<DiscoveredDestinations> Start(params (string, string)[] settings) =>
        new([_database, TestServices.At("home", _one.Address), ("services:home:http:1", _two.Address.ToString().TrimEnd('/')), .. settings]);

    private static Task CallAsync(TestService<DiscoveredDestinations> gateway, int calls, HttpStatusCode? expected) =>
        Parallel.ForAsync(0, calls, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (_, ct) =>
        {
            using var response = await gateway.Http.GetAsync("/api/home", ct);
            Assert.Equal(expected ?? response.StatusCode, response.StatusCode);
        });

    private static int Reached(Upstream service) => service.Journal.Count(call => call.Path is not AppRuleSet.Path);

    private static Task AnswerAsync(HttpContext context) => context.Response.WriteAsync("answer");

    private static Task FailAsync(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return context.Response.WriteAsync("failed");
    }
}
