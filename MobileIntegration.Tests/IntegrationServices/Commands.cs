using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MobileIntegration.Contracts;

namespace MobileIntegration.Tests.IntegrationServices;

/// <summary>A caller of commands.</summary>
internal sealed class Commands(HttpClient http)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new System.Text.Json.Serialization.JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    public Task<HttpResponseMessage> SendAsync<T>(string path, T body, string? key = null, HttpMethod? method = null)
    {
        var request = new HttpRequestMessage(method ?? HttpMethod.Post, path) { Content = JsonContent.Create(body, options: Json) };
        request.Headers.Add("Idempotency-Key", key ?? Guid.NewGuid().ToString());
        return http.SendAsync(request);
    }

    public async Task<CommandStatus> RunAsync<T>(string path, T body, HttpMethod? method = null)
    {
        var response = await SendAsync(path, body, method: method);
        Assert.True(response.StatusCode is HttpStatusCode.Accepted, await response.Content.ReadAsStringAsync());
        return await EndedAsync(response.Headers.Location!);
    }

    public async Task<CommandStatus> GetAsync(Uri location) => (await http.GetFromJsonAsync<CommandStatus>(location, Json))!;

    public async Task<CommandStatus> EndedAsync(Uri location)
    {
        CommandStatus? status = null;
        await Eventually.TrueAsync(async () => (status = await GetAsync(location)).EndedAt is not null, TimeSpan.FromSeconds(60));
        return status!;
    }
}
