using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.LocalHost;

/// <summary>Says more about resources: health checks.</summary>
public static partial class ResourceBuilderExtensions
{
    private static readonly TimeSpan HttpHealthCheckTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan UnreachableFor = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(50);

    /// <summary>The resource is healthy if a health check registered in the builder's services is.</summary>
    /// <exception cref="DistributedApplicationException">The resource has that health check already.</exception>
    public static IResourceBuilder<T> WithHealthCheck<T>(this IResourceBuilder<T> builder, string key)
        where T : IResource
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        return builder.Resource.Annotations.OfType<HealthCheckAnnotation>().Any(known => known.Key == key)
            ? throw new DistributedApplicationException($"'{builder.Resource.Name}' has the health check '{key}' already: remove one of the two calls.")
            : builder.WithAnnotation(new HealthCheckAnnotation(key));
    }

    /// <summary>
    /// The resource is healthy if a GET request is answered with exactly that status within 10 s, and can be reached within 3 s. Path "/" and status 200 if not given; the endpoint is the
    /// one called https, or else http. Each instance of a replicated project is asked itself.
    /// </summary>
    /// <exception cref="DistributedApplicationException">There is no such endpoint, or it is not http or https.</exception>
    public static IResourceBuilder<T> WithHttpHealthCheck<T>(this IResourceBuilder<T> builder, string? path = null, int? statusCode = null, string? endpointName = null)
        where T : IResourceWithEndpoints => AddHttpHealthCheck(builder, SelectHttpEndpoint(builder.Resource, endpointName), path, statusCode);

    /// <inheritdoc cref="WithHttpHealthCheck{T}(IResourceBuilder{T}, string?, int?, string?)"/>
    public static IResourceBuilder<T> WithHttpHealthCheck<T>(this IResourceBuilder<T> builder, Func<EndpointReference>? endpointSelector, string? path = null, int? statusCode = null)
        where T : IResourceWithEndpoints =>
        AddHttpHealthCheck(builder, endpointSelector is null ? SelectHttpEndpoint(builder.Resource, null) : endpointSelector(), path, statusCode);

    internal static string AddHttpHealthCheck(IDistributedApplicationBuilder builder, string key, int statusCode, Func<CancellationToken, ValueTask<Uri>> uri)
    {
        builder.Services.AddHttpClient(nameof(HttpStatusHealthCheck)).RemoveAllLoggers();
        builder.Services.AddHealthChecks().Add(new HealthCheckRegistration(
            key, services => new HttpStatusHealthCheck(services.GetRequiredService<IHttpClientFactory>(), uri, statusCode), null, null, HttpHealthCheckTimeout));
        return key;
    }

    private static IResourceBuilder<T> AddHttpHealthCheck<T>(IResourceBuilder<T> builder, EndpointReference? endpoint, string? path, int? statusCode)
        where T : IResourceWithEndpoints
    {
        var name = builder.Resource.Name;
        if (endpoint is null)
        {
            throw new DistributedApplicationException($"The HTTP health check of '{name}' needs an endpoint: call WithHttpEndpoint() before WithHttpHealthCheck().");
        }

        if (!endpoint.Exists)
        {
            throw new DistributedApplicationException($"The HTTP health check of '{name}' needs the endpoint '{endpoint.EndpointName}'. {endpoint.KnownEndpoints()}");
        }

        if (!endpoint.IsHttp && !endpoint.IsHttps)
        {
            throw new DistributedApplicationException(
                $"The HTTP health check of '{name}' cannot use endpoint '{endpoint.EndpointName}', whose scheme is {endpoint.Scheme}: name one with http or https.");
        }

        path ??= "/";
        var status = statusCode ?? 200;
        var key = $"{endpoint.Resource.Name}_{endpoint.EndpointName}_{path}_{status}_check";
        builder.WithHealthCheck(key);
        AddHttpHealthCheck(
            builder.ApplicationBuilder, key, status,
            async ct => new Uri(await Endpoints.AddressAsync(endpoint, ct).ConfigureAwait(false), path));
        return builder;
    }

    private sealed class HttpStatusHealthCheck(IHttpClientFactory clients, Func<CancellationToken, ValueTask<Uri>> address, int expected) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            var uri = await address(cancellationToken).ConfigureAwait(false);
            using var client = clients.CreateClient(nameof(HttpStatusHealthCheck));
            for (var began = Stopwatch.GetTimestamp(); ;)
            {
                try
                {
                    using var response = await client.GetAsync(uri, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
                    return (int)response.StatusCode == expected
                        ? HealthCheckResult.Healthy()
                        : new(context.Registration.FailureStatus, $"{uri} answered {(int)response.StatusCode}, not {expected}.");
                }
                catch (HttpRequestException unreachable) when (Stopwatch.GetElapsedTime(began) >= UnreachableFor)
                {
                    return new(context.Registration.FailureStatus, $"{uri} cannot be reached: {unreachable.Message}", unreachable);
                }
                catch (HttpRequestException)
                {
                    // A process that begins to listen is seen at once, not at the next look, which may be seconds away.
                    await Task.Delay(RetryDelay, cancellationToken).ConfigureAwait(false);
                }
            }
        }
    }
}
