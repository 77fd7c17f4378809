using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.Tests.BackendSystems;

/// <summary>A subscriber with a journal, whose answer a test decides and which can go away and come back at the same address.</summary>
internal sealed class WebhookReceiver : IAsyncDisposable
{
    private WebApplication? _app;

    public ConcurrentQueue<Received> Journal { get; } = new();

    /// <summary>The status to answer; the argument counts the calls from 1.</summary>
    public Func<int, int> Answer { get; set; } = _ => 204;

    public string Url { get; private set; } = "http://127.0.0.1:0";

    public static async Task<WebhookReceiver> StartAsync()
    {
        var receiver = new WebhookReceiver();
        await receiver.ListenAsync();
        return receiver;
    }

    public async Task ListenAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        _app = builder.Build();
        _app.MapPost("/", async (HttpRequest request) =>
        {
            using var reader = new StreamReader(request.Body);
            var body = await reader.ReadToEndAsync();
            Journal.Enqueue(new(request.Headers["webhook-id"]!, request.Headers["webhook-timestamp"]!, request.Headers["webhook-signature"]!, body));
            return Results.StatusCode(Answer(Journal.Count));
        });
        _app.Urls.Add(new Uri(Url).GetLeftPart(UriPartial.Authority));
        await _app.StartAsync();
        Url = _app.Urls.Single() + "/";
    }

    public async Task GoAwayAsync()
    {
        await _app!.DisposeAsync();
        _app = null;
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
        {
            await _app.DisposeAsync();
        }
    }
}

internal sealed record Received(string Id, string Timestamp, string Signature, string Body);
