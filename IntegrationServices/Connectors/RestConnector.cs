using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Options;

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
                if (page?.Value is null)
                {
                    throw BackendException.Unusable(System, $"a page of {next}", "value", "is missing");
                }
                items.AddRange(page.Value);
                next = page.NextLink is null ? null : Local(page.NextLink);
            }
            return items;
        }, ct);

    private async Task<T?> ReadAsync<T>(Uri uri, CancellationToken ct) where T : class
    {
        using var response = await http.GetAsync(uri, HttpCompletionOption.ResponseHeadersRead, ct);
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

    private sealed record ODataPage<T>(
        List<T>? Value, [property: System.Text.Json.Serialization.JsonPropertyName("@odata.nextLink")] string? NextLink);
}

internal static class RestConnectorExtensions
{
    /// <summary>A connector under the key <paramref name="system"/>, with service discovery, standard resilience and telemetry.</summary>
    public static void AddRestConnector(this IHostApplicationBuilder builder, string system)
    {
        builder.AddConnectorOptions(system);
        builder.Services.AddHttpClient(system, (services, http) =>
            http.BaseAddress = new(services.GetRequiredService<IOptionsMonitor<ConnectorOptions>>().For(system).Address));
        builder.Services.AddKeyedTransient(system, (services, _) => new RestConnector(
            system,
            services.GetRequiredService<IHttpClientFactory>().CreateClient(system),
            services.GetRequiredService<IOptionsMonitor<ConnectorOptions>>()));
    }
}
