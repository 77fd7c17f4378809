namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>How a command sends its HTTP request and reads the answer.</summary>
public class HttpCommandOptions : CommandOptions
{
    /// <summary>The endpoint to call; the first of https and http if null.</summary>
    public Func<EndpointReference>? EndpointSelector { get; set; }

    /// <summary>POST if null.</summary>
    public HttpMethod? Method { get; set; }

    public string? HttpClientName { get; set; }

    public Func<HttpCommandRequestContext, Task>? PrepareRequest { get; set; }

    public Func<HttpCommandResultContext, Task<ExecuteCommandResult>>? GetCommandResult { get; set; }

    public HttpCommandResultMode ResultMode { get; set; }
}

/// <summary>What becomes of the body of the answer.</summary>
public enum HttpCommandResultMode
{
    None = 0,
    Auto = 1,
    Json = 2,
    Text = 3,
}

/// <summary>A request that is about to be sent.</summary>
public sealed class HttpCommandRequestContext
{
    public required IServiceProvider Services { get; init; }

    public required string ResourceName { get; init; }

    public required EndpointReference Endpoint { get; init; }

    public required CancellationToken CancellationToken { get; init; }

    public required HttpClient HttpClient { get; init; }

    public InteractionInputCollection Arguments { get; init; } = new([]);

    public required HttpRequestMessage Request { get; init; }
}

/// <summary>An answer that came.</summary>
public sealed class HttpCommandResultContext
{
    public required IServiceProvider Services { get; init; }

    public required string ResourceName { get; init; }

    public required EndpointReference Endpoint { get; init; }

    public required CancellationToken CancellationToken { get; init; }

    public required HttpClient HttpClient { get; init; }

    public InteractionInputCollection Arguments { get; init; } = new([]);

    public required HttpResponseMessage Response { get; init; }
}
