using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Eventing;
using MobileIntegration.LocalHost.Lifecycle;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.LocalHost;

/// <summary>
/// Builds a distributed application. Its configuration is the AppHost's appsettings, its user secrets, the environment and the command line.
/// </summary>
public class DistributedApplicationBuilder : IDistributedApplicationBuilder
{
    private readonly HostApplicationBuilder _host;
    private readonly DistributedApplicationExecutionContextOptions _executionOptions = new(DistributedApplicationOperation.Run);
    private readonly DistributedApplicationEventing _eventing = new();
    private readonly ResourceCollection _resources = [];
    private readonly BuilderHook? _hook = BuilderHook.Current.Value;
    private readonly bool _enableResourceLogging;
    private bool _built;

    public DistributedApplicationBuilder(string[] args)
        : this(new DistributedApplicationOptions { Args = args })
    {
    }

    public DistributedApplicationBuilder(DistributedApplicationOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var settings = new HostApplicationBuilderSettings { Args = RunningSettings.WithoutSwitches(options.Args) };
        _hook?.OnBuilderCreating?.Invoke(options, settings);
        StartErrors.Install(options);
        AppHostAssembly = options.AssemblyName is { } name ? Assembly.Load(name) : Assembly.GetEntryAssembly();
        AppHostDirectory = Path.GetFullPath(options.ProjectDirectory ?? DirectoryOf(AppHostAssembly) ?? Directory.GetCurrentDirectory());
        settings.ContentRootPath ??= AppHostDirectory;
        settings.ApplicationName ??= AppHostAssembly?.GetName().Name;
        _enableResourceLogging = options.EnableResourceLogging;
        _host = new HostApplicationBuilder(settings);
        ExecutionContext = new(_executionOptions);
        UserSecrets = new(options.UserSecretsPath ?? UserSecrets.PathOf(AppHostAssembly));
        AddUserSecretsToConfiguration();
        AddServices(options);
        RunningSetup.AddRunning(this, options);
        _hook?.OnBuilderCreated?.Invoke(this);
    }

    public ConfigurationManager Configuration => _host.Configuration;

    public string AppHostDirectory { get; }

    public Assembly? AppHostAssembly { get; }

    public IHostEnvironment Environment => _host.Environment;

    public IServiceCollection Services => _host.Services;

    public IDistributedApplicationEventing Eventing => _eventing;

    public DistributedApplicationExecutionContext ExecutionContext { get; }

    public IResourceCollection Resources => _resources;

    internal UserSecrets UserSecrets { get; }

    /// <inheritdoc/>
    public IResourceBuilder<T> AddResource<T>(T resource)
        where T : IResource
    {
        ArgumentNullException.ThrowIfNull(resource);
        ModelRules.ThrowIfNameInvalid(resource);
        _resources.Add(resource);
        return CreateResourceBuilder(resource);
    }

    /// <inheritdoc/>
    public IResourceBuilder<T> CreateResourceBuilder<T>(T resource)
        where T : IResource => new ResourceBuilder<T>(this, resource);

    /// <inheritdoc/>
    public DistributedApplication Build()
    {
        if (_built)
        {
            throw new InvalidOperationException("The application has been built: Build() can be called once.");
        }

        _built = true;
        _hook?.OnBuilding?.Invoke(this);
        ModelRules.ThrowIfModelInvalid(_resources);
        var application = new DistributedApplication(_host.Build());
        var logger = application.Services.GetRequiredService<ILoggerFactory>().CreateLogger<DistributedApplication>();
        _executionOptions.Services = application.Services;
        _eventing.OnUnobservedFailure = (type, fault) => logger.LogError(fault, "A handler of {Event} failed", type.Name);
        UserSecrets.UseLogger(logger);
        ForwardResourceLogs(application.Services);
        _hook?.OnBuilt?.Invoke(application);
        return application;
    }

    private static string? DirectoryOf(Assembly? assembly) => assembly?.GetCustomAttributes<AssemblyMetadataAttribute>()
        .FirstOrDefault(metadata => string.Equals(metadata.Key, "apphostprojectpath", StringComparison.OrdinalIgnoreCase))?.Value;

    // Below the environment and the command line, above the appsettings, as in any .NET host.
    private void AddUserSecretsToConfiguration()
    {
        if (UserSecrets.Path is not { } path || !Environment.IsDevelopment())
        {
            return;
        }

        var directory = Path.GetDirectoryName(path)!;
        if (!Directory.Exists(directory))
        {
            return;
        }

        var sources = ((IConfigurationBuilder)Configuration).Sources;
        var environment = sources.ToList().FindLastIndex(source =>
            source is Microsoft.Extensions.Configuration.EnvironmentVariables.EnvironmentVariablesConfigurationSource { Prefix: null or "" });
        var secrets = new Microsoft.Extensions.Configuration.Json.JsonConfigurationSource { Path = path, Optional = true };
        secrets.ResolveFileProvider();
        try
        {
            sources.Insert(environment < 0 ? sources.Count : environment, secrets);
        }
        catch (InvalidDataException damaged)
        {
            throw new DistributedApplicationException($"The user secrets in {path} are not valid JSON: correct or delete the file.", damaged);
        }
    }

    private void ForwardResourceLogs(IServiceProvider services)
    {
        if (!_enableResourceLogging)
        {
            return;
        }

        var loggers = services.GetRequiredService<ILoggerFactory>();
        services.GetRequiredService<ResourceLoggerService>().LineAdded += (id, line) => loggers.CreateLogger($"{Environment.ApplicationName}.Resources.{id}")
            .Log(line.IsErrorMessage ? LogLevel.Error : LogLevel.Information, "{LineNumber}: {Content}", line.LineNumber, line.Content);
    }

    private void AddServices(DistributedApplicationOptions options)
    {
        Services.AddSingleton(ExecutionContext);
        Services.AddSingleton<IDistributedApplicationEventing>(_eventing);
        Services.AddSingleton(_ => new DistributedApplicationModel(_resources));
        Services.AddSingleton<ResourceLoggerService>();
        Services.AddSingleton<ResourceNotificationService>();
        Services.AddSingleton(services => new ResourceCommandService(
            services.GetRequiredService<ResourceNotificationService>(),
            services.GetRequiredService<ResourceLoggerService>(),
            services.GetRequiredService<DistributedApplicationModel>(),
            services));
        Services.AddHealthChecks();
        Services.AddHostedService<EventingSubscribers>();
        Services.Configure<ResourceNotificationServiceOptions>(wait =>
            wait.DefaultWaitBehavior = options.DisableDashboard ? WaitBehavior.StopOnResourceUnavailable : WaitBehavior.WaitOnResourceUnavailable);
    }
}

/// <summary>Lets a test take part while the AppHost's entry point, running on the same flow, builds its application.</summary>
internal sealed record BuilderHook(
    Action<DistributedApplicationOptions, HostApplicationBuilderSettings>? OnBuilderCreating,
    Action<DistributedApplicationBuilder>? OnBuilderCreated,
    Action<DistributedApplicationBuilder>? OnBuilding,
    Action<DistributedApplication>? OnBuilt)
{
    /// <summary>The hook of builders made on this flow.</summary>
    public static AsyncLocal<BuilderHook?> Current { get; } = new();
}
