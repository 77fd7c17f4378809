using Microsoft.Extensions.Hosting;

namespace MobileIntegration.LocalHost.Testing;

/// <summary>Begins tests of a whole application.</summary>
public static class DistributedApplicationTestingBuilder
{
    /// <summary>A model without an AppHost project.</summary>
    public static IDistributedApplicationTestingBuilder Create(params string[] args) => Create(args, (_, _) => { });

    /// <inheritdoc cref="Create(string[])"/>
    public static IDistributedApplicationTestingBuilder Create(string[] args, Action<DistributedApplicationOptions, HostApplicationBuilderSettings> configureBuilder)
    {
        ArgumentNullException.ThrowIfNull(configureBuilder);
        var hook = new BuilderHook(
            (options, settings) =>
            {
                TestingDefaults.Apply(options, settings, appHost: null);
                configureBuilder(options, settings);
            },
            TestingDefaults.Apply, OnBuilding: null, OnBuilt: null);

        var before = BuilderHook.Current.Value;
        BuilderHook.Current.Value = hook;
        try
        {
            return new TestingBuilder((DistributedApplicationBuilder)DistributedApplication.CreateBuilder(args), factory: null);
        }
        finally
        {
            BuilderHook.Current.Value = before;
        }
    }

    /// <summary>The model that an AppHost's own code makes. <typeparamref name="TEntryPoint"/> is a type of its assembly, such as <c>Projects.MyAppHost</c>.</summary>
    public static Task<IDistributedApplicationTestingBuilder> CreateAsync<TEntryPoint>(CancellationToken cancellationToken = default)
        where TEntryPoint : class => CreateAsync(typeof(TEntryPoint), cancellationToken);

    /// <inheritdoc cref="CreateAsync{TEntryPoint}(CancellationToken)"/>
    public static Task<IDistributedApplicationTestingBuilder> CreateAsync(Type entryPoint, CancellationToken cancellationToken = default) =>
        CreateAsync(entryPoint, [], cancellationToken);

    /// <inheritdoc cref="CreateAsync{TEntryPoint}(CancellationToken)"/>
    public static Task<IDistributedApplicationTestingBuilder> CreateAsync<TEntryPoint>(string[] args, CancellationToken cancellationToken = default)
        where TEntryPoint : class => CreateAsync(typeof(TEntryPoint), args, cancellationToken);

    /// <inheritdoc cref="CreateAsync{TEntryPoint}(CancellationToken)"/>
    public static Task<IDistributedApplicationTestingBuilder> CreateAsync(Type entryPoint, string[] args, CancellationToken cancellationToken = default) =>
        CreateAsync(entryPoint, args, (_, _) => { }, cancellationToken);

    /// <inheritdoc cref="CreateAsync{TEntryPoint}(CancellationToken)"/>
    public static Task<IDistributedApplicationTestingBuilder> CreateAsync<TEntryPoint>(
        string[] args, Action<DistributedApplicationOptions, HostApplicationBuilderSettings> configureBuilder, CancellationToken cancellationToken = default) =>
        CreateAsync(typeof(TEntryPoint), args, configureBuilder, cancellationToken);

    /// <inheritdoc cref="CreateAsync{TEntryPoint}(CancellationToken)"/>
    public static async Task<IDistributedApplicationTestingBuilder> CreateAsync(
        Type entryPoint, string[] args, Action<DistributedApplicationOptions, HostApplicationBuilderSettings> configureBuilder, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(entryPoint);
        ArgumentNullException.ThrowIfNull(configureBuilder);
        var factory = new ConfiguredFactory(entryPoint, args, configureBuilder);
        return new TestingBuilder(await factory.BuilderAsync(cancellationToken), factory);
    }

    private sealed class ConfiguredFactory(Type entryPoint, string[] args, Action<DistributedApplicationOptions, HostApplicationBuilderSettings> configure)
        : DistributedApplicationFactory(entryPoint, args)
    {
        protected override void OnBuilderCreating(DistributedApplicationOptions applicationOptions, HostApplicationBuilderSettings hostOptions) =>
            configure(applicationOptions, hostOptions);
    }
}
