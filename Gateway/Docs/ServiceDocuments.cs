using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;

namespace Gateway.Docs;

/// <summary>The OpenAPI documents of the services behind, each as it was when it was last to be had.</summary>
internal sealed partial class ServiceDocuments(
    IHttpClientFactory clients, IOptions<DocsOptions> options, TimeProvider time, ILogger<ServiceDocuments> logger) : IDisposable
{
    public const string Client = "documents";
    private readonly ConcurrentDictionary<string, ServiceDocument> _known = new();
    private readonly SemaphoreSlim _asking = new(1);
    private DateTimeOffset _askedAt = DateTimeOffset.MinValue;

    /// <summary>One for each service, also for those of which none is known.</summary>
    public async Task<IReadOnlyList<ServiceDocument>> GetAsync(IReadOnlyCollection<string> services, CancellationToken ct)
    {
        await _asking.WaitAsync(ct);
        try
        {
            if (time.GetUtcNow() - _askedAt >= TimeSpan.FromSeconds(options.Value.RefreshSeconds))
            {
                await Task.WhenAll(services.Select(service => AskAsync(service, ct)));
                _askedAt = time.GetUtcNow();
            }
            return [.. services.Select(service => _known[service])];
        }
        finally
        {
            _asking.Release();
        }
    }

    public void Dispose() => _asking.Dispose();

    private async Task AskAsync(string service, CancellationToken ct)
    {
        try
        {
            using var client = clients.CreateClient(Client);
            var document = await client.GetFromJsonAsync<JsonObject>(new Uri($"http://{service}{ApiDocument.Path}"), ct)
                ?? throw new JsonException("The document is null.");
            _known[service] = new(service, document, time.GetUtcNow(), IsAway: false);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            var last = _known.GetValueOrDefault(service);
            if (last is not { IsAway: true })
            {
                NotReached(logger, service, (exception.InnerException ?? exception).Message);
            }
            _known[service] = new(service, last?.Document, last?.At, IsAway: true);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The OpenAPI document of {Service} is not to be had, the last known one is used: {Reason}")]
    private static partial void NotReached(ILogger logger, string service, string reason);
}

/// <param name="Document">Null when none came since the start.</param>
/// <param name="At">When it came.</param>
internal sealed record ServiceDocument(string Service, JsonObject? Document, DateTimeOffset? At, bool IsAway);
