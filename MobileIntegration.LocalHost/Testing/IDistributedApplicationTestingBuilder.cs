using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Eventing;

namespace MobileIntegration.LocalHost.Testing;

/// <summary>The model of an AppHost under test, before it is built.</summary>
public interface IDistributedApplicationTestingBuilder : IDistributedApplicationBuilder, IAsyncDisposable, IDisposable
{
    /// <inheritdoc cref="IDistributedApplicationBuilder.Configuration"/>
    new ConfigurationManager Configuration { get; }

    /// <inheritdoc cref="IDistributedApplicationBuilder.AppHostDirectory"/>
    new string AppHostDirectory { get; }

    /// <inheritdoc cref="IDistributedApplicationBuilder.AppHostAssembly"/>
    new Assembly? AppHostAssembly { get; }

    /// <inheritdoc cref="IDistributedApplicationBuilder.Environment"/>
    new IHostEnvironment Environment { get; }

    /// <inheritdoc cref="IDistributedApplicationBuilder.Services"/>
    new IServiceCollection Services { get; }

    /// <inheritdoc cref="IDistributedApplicationBuilder.ExecutionContext"/>
    new DistributedApplicationExecutionContext ExecutionContext { get; }

    /// <inheritdoc cref="IDistributedApplicationBuilder.Eventing"/>
    new IDistributedApplicationEventing Eventing { get; }

    /// <inheritdoc cref="IDistributedApplicationBuilder.Resources"/>
    new IResourceCollection Resources { get; }

    /// <inheritdoc cref="IDistributedApplicationBuilder.AddResource"/>
    new IResourceBuilder<T> AddResource<T>(T resource)
        where T : IResource;

    /// <summary>Builds the application; it starts when its StartAsync is called.</summary>
    Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken = default);

    /// <inheritdoc cref="IDistributedApplicationBuilder.CreateResourceBuilder"/>
    new IResourceBuilder<T> CreateResourceBuilder<T>(T resource)
        where T : IResource;
}

internal sealed class TestingBuilder(DistributedApplicationBuilder builder, DistributedApplicationFactory? factory) : IDistributedApplicationTestingBuilder
{
    private DistributedApplication? _built;

    public ConfigurationManager Configuration => builder.Configuration;

    public string AppHostDirectory => builder.AppHostDirectory;

    public Assembly? AppHostAssembly => builder.AppHostAssembly;

    public IHostEnvironment Environment => builder.Environment;

    public IServiceCollection Services => builder.Services;

    public DistributedApplicationExecutionContext ExecutionContext => builder.ExecutionContext;

    public IDistributedApplicationEventing Eventing => builder.Eventing;

    public IResourceCollection Resources => builder.Resources;

    public IResourceBuilder<T> AddResource<T>(T resource)
        where T : IResource => builder.AddResource(resource);

    public IResourceBuilder<T> CreateResourceBuilder<T>(T resource)
        where T : IResource => builder.CreateResourceBuilder(resource);

    public DistributedApplication Build() => BuildAsync().GetAwaiter().GetResult();

    public Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken = default) =>
        factory is null ? Task.FromResult(_built ??= builder.Build()) : factory.BuildAsync(cancellationToken);

    public void Dispose()
    {
        factory?.Dispose();
        _built?.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await (factory?.DisposeAsync() ?? ValueTask.CompletedTask);
        await (_built?.DisposeAsync() ?? ValueTask.CompletedTask);
    }
}
