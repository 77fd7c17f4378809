using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Running;

/// <summary>How each kind of resource becomes a process of this machine.</summary>
internal sealed class Processes(
    IConfiguration configuration, IHostEnvironment environment, DistributedApplicationExecutionContext context, DataFolder data)
    : IDisposable
{
    private readonly ConcurrentDictionary<IResource, PostgresBinaries> _postgres = [];
    private readonly ConcurrentDictionary<IResource, RedisServer> _redis = [];
    private readonly SemaphoreSlim _building = new(1, 1);

    public static bool CanRun(IResource resource) =>
        resource is ProjectResource or ExecutableResource or PostgresServerResource or RedisResource && !resource.TryGetLastAnnotation<UnavailableAnnotation>(out _);

    /// <summary>Looks for what the resource is run with, so that what is missing is told before anything starts.</summary>
    /// <exception cref="DistributedApplicationException">It is not there; the message names the ways out.</exception>
    public async Task PrepareAsync(IResource resource, ILogger logger, CancellationToken ct)
    {
        switch (resource)
        {
            case PostgresServerResource when External("Postgres") is null:
                _postgres[resource] = await PostgresBinaries.FindAsync(configuration["Postgres:Binaries"], data, DataOf(resource), logger, ct);
                break;
            case RedisResource when External("Redis") is null:
                var persistence = resource.TryGetLastAnnotation<PersistenceAnnotation>(out var saved) ? saved.Interval : (TimeSpan?)null;
                _redis[resource] = new RedisServer(configuration["Redis:Server"], data, DataOf(resource), persistence);
                _redis[resource].Find();
                break;
        }
    }

    /// <summary>A server that is running already and that the settings name instead of one of our own (<c>Postgres:ConnectionString</c>), or null.</summary>
    public string? External(string kind) => configuration[$"{kind}:ConnectionString"] is { Length: > 0 } setting ? setting : null;

    public bool IsExternal(IResource resource) =>
        resource is PostgresServerResource && External("Postgres") is not null || resource is RedisResource && External("Redis") is not null;

    /// <summary>Starts one instance; a server has also begun to take connections.</summary>
    public async Task<ChildProcess> StartAsync(
        IResource resource, string instanceId, Func<string, int> targetPort, ILogger logger, CancellationToken ct)
    {
        if (resource is PostgresServerResource && !_postgres.ContainsKey(resource) || resource is RedisResource && !_redis.ContainsKey(resource))
        {
            // One that was not to start with the others.
            await PrepareAsync(resource, logger, ct);
        }

        switch (resource)
        {
            case PostgresServerResource postgres:
                var userName = postgres.UserNameParameter is { } parameter ? await parameter.GetValueAsync(ct) : "postgres";
                var server = new PostgresServer(_postgres[postgres], data, DataOf(postgres), logger);
                return await server.StartAsync(
                    targetPort("tcp"), userName!, (await postgres.PasswordParameter.GetValueAsync(ct))!, WriteTo(logger), ct);

            case RedisResource redis:
                var password = redis.PasswordParameter is { } secret ? await secret.GetValueAsync(ct) : null;
                return await _redis[redis].StartAsync(targetPort("tcp"), password, WriteTo(logger), ct);

            default:
                var launch = (await ResourceLaunch.EvaluateAsync(resource, context, logger, ct)).ForInstance(instanceId, targetPort);
                var command = resource is ProjectResource project
                    ? await ProjectCommandAsync(project, logger, ct)
                    : ExecutableCommand((ExecutableResource)resource);
                return await StartAsync(command, launch, logger);
        }
    }

    /// <summary>Builds a project again.</summary>
    /// <exception cref="DistributedApplicationException">It does not build; the log says why.</exception>
    public async Task BuildAsync(ProjectResource project, ILogger logger, CancellationToken ct)
    {
        // One at a time, for projects share what they refer to; without servers that would stay when the AppHost ends.
        await _building.WaitAsync(ct);
        try
        {
            string[] arguments =
                ["build", project.GetProjectMetadata().ProjectPath, "-nologo", "-v", "minimal", "-nodeReuse:false", "-p:UseSharedCompilation=false"];
            await ChildProcess.RunAsync(
                new ProcessStartInfo(Executables.DotNet, arguments), $"Building {project.Name}", logger, data.Leftovers, user: null, ct);
        }
        finally
        {
            _building.Release();
        }
    }

    /// <summary>Where a server keeps its data: kept if the model gives it a volume or a persistent lifetime, else begun anew each time.</summary>
    public string DataOf(IResource resource)
    {
        var mount = resource.Annotations.OfType<ContainerMountAnnotation>().LastOrDefault(mount => !mount.IsReadOnly);
        if (mount is { Type: ContainerMountType.BindMount, Source: { } folder })
        {
            return folder;
        }

        return data.In(KeepsData(resource) ? "volumes" : "session", resource.Name);
    }

    public void Dispose() => _building.Dispose();

    private static bool KeepsData(IResource resource) =>
        resource.Annotations.OfType<ContainerMountAnnotation>().Any()
        || resource.Annotations.OfType<ContainerLifetimeAnnotation>().LastOrDefault()?.Lifetime == ContainerLifetime.Persistent;

    private static Action<string, bool> WriteTo(ILogger logger) => (line, isError) =>
    {
        // The output of a program is data, not a format.
        if (isError)
        {
            logger.LogError("{Line}", line);
        }
        else
        {
            logger.LogInformation("{Line}", line);
        }
    };

    private async Task<ChildProcess> StartAsync(ProcessStartInfo command, ResourceLaunch launch, ILogger logger)
    {
        foreach (var argument in launch.Arguments)
        {
            command.ArgumentList.Add(argument);
        }

        // What the AppHost's own launch profile says about the AppHost is not meant for what it starts.
        foreach (var name in command.Environment.Keys.Where(IsOwn).ToList())
        {
            command.Environment.Remove(name);
        }

        command.Environment.TryAdd("DOTNET_ENVIRONMENT", environment.EnvironmentName);
        foreach (var (name, value) in launch.Environment)
        {
            command.Environment[name] = value;
        }

        var process = await ChildProcess.StartAsync(command, WriteTo(logger), data.Leftovers);
        process.Environment =
        [
            .. command.Environment.Select(variable => new EnvironmentVariableSnapshot(variable.Key, variable.Value, launch.Environment.ContainsKey(variable.Key))),
        ];
        return process;
    }

    private static ProcessStartInfo ExecutableCommand(ExecutableResource executable) =>
        new(Executables.Resolve(executable.Command, executable.WorkingDirectory)) { WorkingDirectory = executable.WorkingDirectory };

    private static bool IsOwn(string name) =>
        name is "ASPNETCORE_URLS" or "DOTNET_LAUNCH_PROFILE" || name.StartsWith("ASPIRE_", StringComparison.Ordinal) || name.StartsWith("OTEL_", StringComparison.Ordinal);

    private async Task<ProcessStartInfo> ProjectCommandAsync(ProjectResource project, ILogger logger, CancellationToken ct)
    {
        var metadata = project.GetProjectMetadata();
        var assembly = metadata is IProjectOutput output ? output.AssemblyPath : await BuildAndFindAsync(project, logger, ct);
        if (!File.Exists(assembly))
        {
            throw new DistributedApplicationException($"'{project.Name}' has not been built: there is no {assembly}. Build the solution first.");
        }

        var command = new ProcessStartInfo(Executables.DotNet)
        {
            WorkingDirectory = Path.GetDirectoryName(metadata.ProjectPath),
            ArgumentList = { assembly },
        };
        // Mapping each page of code twice is hardening for production, and a seventh of a start (decision 7).
        command.Environment.TryAdd("DOTNET_EnableWriteXorExecute", "0");
        return command;
    }

    private async Task<string> BuildAndFindAsync(ProjectResource project, ILogger logger, CancellationToken ct)
    {
        await BuildAsync(project, logger, ct);
        var question = new ProcessStartInfo(Executables.DotNet)
        {
            RedirectStandardOutput = true,
            ArgumentList = { "msbuild", project.GetProjectMetadata().ProjectPath, "-getProperty:TargetPath" },
        };
        using var process = Process.Start(question)!;
        var path = await process.StandardOutput.ReadToEndAsync(ct);
        await process.WaitForExitAsync(ct);
        return process.ExitCode == 0 ? path.Trim() : throw new DistributedApplicationException($"What '{project.Name}' builds could not be found out: {path.Trim()}");
    }
}
