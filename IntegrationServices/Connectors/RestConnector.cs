using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.Http.Resilience;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;

namespace IntegrationServices.Connectors;

/// <summary>JSON over HTTP: a system's own REST interface, or OData v4 on top of it.</summary>
internal sealed class RestConnector(string system, HttpClient http, IOptionsMonitor<ConnectorOptions> options)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    public string System { get; } = system;

    /// <returns>Null for 404.</returns>
    /// <exception cref="BackendException">Any other answer than 2xx, or none.</exception>
    public Task<T?> GetAsync<T>(string uri, CancellationToken ct) where T : class =>
        Guarded.CallAsync(System, options.For(System), deadline => ReadAsync<T>(new Uri(uri, UriKind.RelativeOrAbsolute), deadline), ct);

    /// <summary>A record and its ETag, with which it can be changed.</summary>
    /// <returns>Null for 404.</returns>
    /// <exception cref="BackendException">Any other answer than 2xx with an ETag, or none.</exception>
    public Task<Tagged<T>?> GetTaggedAsync<T>(string uri, CancellationToken ct) where T : class =>
        Guarded.CallAsync(System, options.For(System), async deadline =>
        {
            using var response = await http.GetAsync(new Uri(uri, UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, deadline);
            return await ReadAsync<T>(response, deadline) is { } record
                ? new Tagged<T>(record, response.Headers.ETag ?? throw BackendException.Unusable(System, $"the record {uri}", "ETag", "is missing"))
                : null;
        }, ct);

    /// <summary>Changes a record by a merge patch (RFC 7396), unless it has changed since it was read.</summary>
    /// <returns>What the system says is wrong with the change (422); null when it is changed, and then the new ETag, if it tells one.</returns>
    /// <exception cref="BackendException">It has changed (412), any other answer than 2xx, or none.</exception>
    public Task<(string? Refusal, EntityTagHeaderValue? Tag)> PatchAsync(string uri, object patch, EntityTagHeaderValue tag, CancellationToken ct) =>
        Guarded.CallAsync<(string?, EntityTagHeaderValue?)>(System, options.For(System), async deadline =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Patch, new Uri(uri, UriKind.Relative))
            {
                Content = JsonContent.Create(patch, new MediaTypeHeaderValue("application/merge-patch+json"), Json),
                Headers = { IfMatch = { tag } },
            };
            using var response = await http.SendAsync(request, deadline);
            return response.StatusCode switch
            {
                HttpStatusCode.UnprocessableEntity => ((await response.Content.ReadFromJsonAsync<Problem>(Json, deadline)) switch
                {
                    { Extensions: { } more } when more.TryGetValue("errors", out var errors) => errors.ToString(),
                    var problem => problem?.Detail ?? "The system does not say what is wrong.",
                }, (EntityTagHeaderValue?)null),
                HttpStatusCode.PreconditionFailed => throw new BackendException(
                    System, StatusCodes.Status503ServiceUnavailable, "has a newer record than the one that was to be changed", TimeSpan.Zero),
                _ when response.IsSuccessStatusCode => (null, response.Headers.ETag),
                _ => throw BackendException.Answered(System, response),
            };
        }, ct);

    /// <summary>An OData collection, its further pages followed by <c>@odata.nextLink</c> until <paramref name="most"/> items are here.</summary>
    /// <exception cref="BackendException">Any other answer than 2xx, or none.</exception>
    public Task<List<T>> GetODataAsync<T>(string query, int most, CancellationToken ct) where T : class =>
        Guarded.CallAsync(System, options.For(System), async deadline =>
        {
            var items = new List<T>();
            var next = new Uri(query, UriKind.Relative);
            while (next is not null && items.Count < most)
            {
                var page = await ReadAsync<ODataPage<T>>(next, deadline);
                items.AddRange(new SourceRecord(System, $"a page of {next}").Entries(page?.Value, "value"));
                next = page!.NextLink is null ? null : Local(page.NextLink);
            }
            return items;
        }, ct);

    private async Task<T?> ReadAsync<T>(Uri uri, CancellationToken ct) where T : class
    {
        using var response = await http.GetAsync(uri, HttpCompletionOption.ResponseHeadersRead, ct);
        return await ReadAsync<T>(response, ct);
    }

    private async Task<T?> ReadAsync<T>(HttpResponseMessage response, CancellationToken ct) where T : class
    {
        if (response.StatusCode is HttpStatusCode.NotFound)
        {
            return null;
        }
        if (!response.IsSuccessStatusCode)
        {
            throw BackendException.Answered(System, response);
        }
        var content = await response.Content.ReadAsStreamAsync(ct);
        return await JsonSerializer.DeserializeAsync<T>(content, Json, ct) ?? throw new JsonException("the answer is null");
    }

    /// <summary>The backend writes its links with the host name it knows itself by; ours leads there through service discovery.</summary>
    private static Uri Local(string link) => Uri.TryCreate(link, UriKind.Absolute, out var absolute)
        ? new(absolute.PathAndQuery, UriKind.Relative)
        : new(link, UriKind.Relative);

    /// <param name="Tag">Of this version of the record.</param>
    internal sealed record Tagged<T>(T Record, EntityTagHeaderValue Tag);

    private sealed record ODataPage<T>(
        List<T?>? Value, [property: System.Text.Json.Serialization.JsonPropertyName("@odata.nextLink")] string? NextLink);
}

internal static class RestConnectorExtensions
{
    /// <summary>A connector under the key <paramref name="system"/>, with service discovery, standard resilience and telemetry.</summary>
    public static void AddRestConnector(this IHostApplicationBuilder builder, string system)
    {
        if (!builder.IsNewConnector(system))
        {
            return;
        }
        builder.AddConnectorOptions(system);
        var client = builder.Services.AddHttpClient(system, (services, http) =>
            http.BaseAddress = new(services.GetRequiredService<IOptionsMonitor<ConnectorOptions>>().For(system).Address));
#pragma warning disable EXTEXP0001 // the only way to replace the default for one client, and stable in practice
        client.RemoveAllResilienceHandlers();
#pragma warning restore EXTEXP0001
        client.AddStandardResilienceHandler(options =>
        {
            options.SuitBackends(HttpClientResiliencePredicates.IsTransient);
            options.Retry.DisableForUnsafeHttpMethods();
        }).AddBulkhead(system);
        client.AddCredentials(builder, system);
        builder.Services.AddKeyedTransient(system, (services, _) => new RestConnector(
            system,
            services.GetRequiredService<IHttpClientFactory>().CreateClient(system),
            services.GetRequiredService<IOptionsMonitor<ConnectorOptions>>()));
    }
}
