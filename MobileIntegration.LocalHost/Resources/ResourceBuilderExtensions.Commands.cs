using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost;

/// <summary>Says more about resources: commands.</summary>
public static partial class ResourceBuilderExtensions
{
    /// <summary>Adds a command, or replaces the one of that name.</summary>
    [OverloadResolutionPriority(1)]
    public static IResourceBuilder<T> WithCommand<T>(this IResourceBuilder<T> builder, string name, string displayName, Func<ExecuteCommandContext, Task<ExecuteCommandResult>> executeCommand, CommandOptions? commandOptions = null)
        where T : IResource
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(executeCommand);
        var options = commandOptions ?? new CommandOptions();
        foreach (var old in builder.Resource.Annotations.OfType<ResourceCommandAnnotation>().Where(old => old.Name == name).ToList())
        {
            builder.Resource.Annotations.Remove(old);
        }

        return builder.WithAnnotation(new ResourceCommandAnnotation(
            name, displayName, options.UpdateState ?? (_ => ResourceCommandState.Enabled), executeCommand, options.Description, options.Arguments,
            options.ConfirmationMessage, options.IconName, options.IconVariant, options.IsHighlighted, options.Visibility, options.ValidateArguments));
    }

    /// <summary>Adds a command that sends a request to an endpoint of the resource; POST if the options say nothing else.</summary>
    public static IResourceBuilder<TResource> WithHttpCommand<TResource>(this IResourceBuilder<TResource> builder, string path, string displayName, string? endpointName = null, string? commandName = null, HttpCommandOptions? commandOptions = null)
        where TResource : IResourceWithEndpoints => builder.WithHttpCommand(
            path, displayName,
            endpointName is null ? null : () => builder.GetEndpoint(endpointName),
            commandName, commandOptions);

    /// <inheritdoc cref="WithHttpCommand{TResource}(IResourceBuilder{TResource}, string, string, string?, string?, HttpCommandOptions?)"/>
    public static IResourceBuilder<TResource> WithHttpCommand<TResource>(this IResourceBuilder<TResource> builder, string path, string displayName, Func<EndpointReference>? endpointSelector, string? commandName = null, HttpCommandOptions? commandOptions = null)
        where TResource : IResourceWithEndpoints
    {
        ArgumentNullException.ThrowIfNull(path);
        var options = commandOptions ?? new HttpCommandOptions();
        var method = options.Method ?? HttpMethod.Post;
        var select = endpointSelector ?? options.EndpointSelector ?? (() => SelectHttpEndpoint(builder.Resource, null)
            ?? throw new DistributedApplicationException($"Command '{displayName}' of '{builder.Resource.Name}' needs an endpoint: add one with WithHttpEndpoint()."));
        options.UpdateState ??= context =>
            context.ResourceSnapshot.HealthStatus == HealthStatus.Healthy ? ResourceCommandState.Enabled : ResourceCommandState.Disabled;
        builder.ApplicationBuilder.Services.AddHttpClient();
        return builder.WithCommand(
            commandName ?? $"{builder.Resource.Name}-http-{method.Method}-{path}".ToUpperInvariant(),
            displayName,
            context => SendAsync(context, select(), path, method, options),
            options);
    }

    private static async Task<ExecuteCommandResult> SendAsync(ExecuteCommandContext context, EndpointReference endpoint, string path, HttpMethod method, HttpCommandOptions options)
    {
        var ct = context.CancellationToken;
        using var client = context.Services.GetRequiredService<IHttpClientFactory>().CreateClient(options.HttpClientName ?? string.Empty);
        using var request = new HttpRequestMessage(method, new Uri(new Uri((await endpoint.GetValueAsync(ct).ConfigureAwait(false))!), path));
        if (options.PrepareRequest is { } prepare)
        {
            await prepare(new()
            {
                Services = context.Services,
                ResourceName = context.ResourceName,
                Endpoint = endpoint,
                CancellationToken = ct,
                HttpClient = client,
                Arguments = context.Arguments,
                Request = request,
            }).ConfigureAwait(false);
        }

        using var response = await client.SendAsync(request, ct).ConfigureAwait(false);
        if (options.GetCommandResult is { } getResult)
        {
            return await getResult(new()
            {
                Services = context.Services,
                ResourceName = context.ResourceName,
                Endpoint = endpoint,
                CancellationToken = ct,
                HttpClient = client,
                Arguments = context.Arguments,
                Response = response,
            }).ConfigureAwait(false);
        }

        var body = await response.Content.ReadAsStringAsync(ct).ConfigureAwait(false);
        var answer = $"{method} {request.RequestUri} answered {(int)response.StatusCode}";
        if (!response.IsSuccessStatusCode)
        {
            return body.Length == 0 ? CommandResults.Failure(answer) : CommandResults.Failure(answer, body);
        }

        var format = options.ResultMode switch
        {
            HttpCommandResultMode.Json => CommandResultFormat.Json,
            HttpCommandResultMode.Auto when response.Content.Headers.ContentType?.MediaType?.EndsWith("json", StringComparison.OrdinalIgnoreCase) == true => CommandResultFormat.Json,
            _ => CommandResultFormat.Text,
        };
        return options.ResultMode == HttpCommandResultMode.None || body.Length == 0
            ? CommandResults.Success(answer)
            : CommandResults.Success(answer, body, format);
    }
}
