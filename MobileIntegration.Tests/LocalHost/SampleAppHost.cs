using System.Net.Sockets;

namespace MobileIntegration.Tests.LocalHost;

/// <summary>
/// The forms in which an AppHost may be written. That it compiles is most of what it is for: where an overload were missing, another might be taken
/// whose meaning differs.
/// </summary>
internal static class SampleAppHost
{
    public static void Add(IDistributedApplicationBuilder builder)
    {
        var (database, cache) = AddStorage(builder);
        var service = AddService(builder, database, cache);
        AddGroups(builder, service);
        AddForms(builder, service);
    }

    private static (IResourceBuilder<PostgresDatabaseResource> Database, IResourceBuilder<RedisResource> Cache) AddStorage(IDistributedApplicationBuilder builder)
    {
        var user = builder.AddParameter("db-user", "app");
        var secret = builder.AddParameter("secret", new GenerateParameterDefault { MinLength = 30 }, secret: true, persist: true);
        var postgres = builder.AddPostgres("postgres", userName: user, password: secret, port: 54399)
            .WithDataVolume()
            .WithLifetime(ContainerLifetime.Persistent)
            .WithHostPort(54398).WithUserName(user).WithPassword(secret)
            .WithPgAdmin(admin => admin.WithHostPort(5050))
            .WithPgWeb(web => web.WithHostPort(5051));
        var cache = builder.AddRedis("cache", port: 6390)
            .WithDataVolume("cache-data")
            .WithPersistence(TimeSpan.FromSeconds(5), 10)
            .WithHostPort(null).WithPassword(secret)
            .WithRedisInsight(insight => insight.WithHostPort(5540))
            .WithRedisCommander(commander => commander.WithHostPort(5541));
        builder.AddRedis("plain", 6391).WithDataBindMount("redis", isReadOnly: true);
        builder.AddPostgres("bound").WithDataBindMount("postgres");
        return (postgres.AddDatabase("orders", "orders_db").WithCreationScript("create database orders_db"), cache);
    }

    private static IResourceBuilder<ProjectResource> AddService(
        IDistributedApplicationBuilder builder, IResourceBuilder<PostgresDatabaseResource> database, IResourceBuilder<RedisResource> cache)
    {
        var late = builder.AddParameter("late", () => "https://late.example/", publishValueAsDefault: true).WithDescription("An address", enableMarkdown: true);
        var legacy = builder.AddConnectionString("legacy", "LEGACY_CONNECTION");
        var made = builder.AddConnectionString("made", ReferenceExpression.Create($"{database};Timeout=5"));
        var built = builder.AddConnectionString("built", expression => expression.Append($"Host={database.Resource.Parent.Host};Key={late:uri}"));
        var external = builder.AddExternalService("ext", "https://example.org/").WithHttpHealthCheck("/health", 204);
        var byUri = builder.AddExternalService("by-uri", new Uri("https://example.org/"));
        var byParameter = builder.AddExternalService("by-parameter", late);

        return builder.AddProject<SampleProject>("service", launchProfileName: null)
            .WithHttpEndpoint(port: builder.ExecutionContext.IsRunMode ? 5099 : null)
            .WithHttpsEndpoint(name: "secure", env: "SECURE_PORT")
            .WithExternalHttpEndpoints()
            .AsHttp2Service()
            .WithReplicas(2)
            .WithHttpHealthCheck("/health", endpointName: "http")
            .WithReference(database).WithReference(cache, "shared").WithReference(legacy, optional: true).WithReference(made).WithReference(built)
            .WithReference(external).WithReference(byUri).WithReference(byParameter)
            .WithReference("raw", new Uri("http://raw.example/"))
            .WithEnvironment("EXTERNAL", external).WithEnvironment("DATABASE", database).WithEnvironment("LATE", late)
            .WaitFor(database)
            .WaitFor(cache, WaitBehavior.StopOnResourceUnavailable);
    }

    // The shape of the product's own AppHost: generic local functions, references in a loop.
    private static void AddGroups(IDistributedApplicationBuilder builder, IResourceBuilder<ProjectResource> service)
    {
        var all = new Dictionary<string, EndpointReference>();
        var projects = new List<IResourceBuilder<ProjectResource>> { service };
        Add<SampleProject>("group", ["a", "b"]);
        foreach (var project in projects)
        {
            foreach (var (name, endpoint) in all)
            {
                project.WithEnvironment($"services__{name}__http__0", endpoint);
            }
        }

        void Add<TProject>(string group, string[] services)
            where TProject : IProjectMetadata, new()
        {
            var project = builder.AddProject<TProject>(group, launchProfileName: null)
                .WithHttpEndpoint()
                .WithReference(service.GetEndpoint("http"))
                .WithCommand("outage", "Take it down", async context =>
                {
                    await Task.Yield();
                    return CommandResults.Success();
                }, new CommandOptions { IconName = "PlugDisconnected", ConfirmationMessage = "Sure?" })
                .WithUrlForEndpoint("http", url => url.DisplayText = "Group");
            foreach (var name in services)
            {
                all[name] = project.GetEndpoint("http");
            }

            projects.Add(project);
        }
    }

    private static void AddForms(IDistributedApplicationBuilder builder, IResourceBuilder<ProjectResource> service)
    {
        var http = service.GetEndpoint("http");
        var job = builder.AddExecutable("job", "sh", ".", "-c", "true").WithExplicitStart();
        builder.AddExecutable("tool", "sh", ".", "-c", http, 5)
            .WithCommand("bash").WithWorkingDirectory("..")
            .WithArgs("more").WithArgs(http, "mixed").WithArgs(context => context.Args.Add("x")).WithArgs(context => Task.CompletedTask)
            .WithEndpoint(7000, 7001, "tcp", "raw", "RAW_PORT", true, false, ProtocolType.Tcp)
            .WithEndpoint("raw", endpoint => endpoint.IsExternal = true, createIfNotExists: false)
            .WithHttpEndpoint(name: "web")
            .WithReference(service).WithReference(http)
            .WithEnvironment("TEXT", "plain").WithEnvironment("NULL", (string?)null)
            .WithEnvironment("INTERPOLATED", $"{http}/x?{job.Resource.Name}")
            .WithEnvironment("EXPRESSION", ReferenceExpression.Create($"{http.Property(EndpointProperty.HostAndPort)}"))
            .WithEnvironment("CALLED", () => "called")
            .WithEnvironment(context => context.EnvironmentVariables["FROM_CONTEXT"] = http)
            .WithEnvironment(async context => await Task.Run(() => context.EnvironmentVariables["ASYNC"] = "async"))
            .WithEnvironment("ENDPOINT", http).WithEnvironment("PORT_OF", http.Property(EndpointProperty.Port))
            .WithReferenceEnvironment(ReferenceEnvironmentInjectionFlags.All)
            .WithUrl("http://localhost:1/", "Static").WithUrl($"{http}/docs", "Docs").WithUrl(ReferenceExpression.Create($"{http}/help"))
            .WithUrls(context => context.Urls.RemoveAll(url => url.DisplayText == "Static")).WithUrls(context => Task.CompletedTask)
            .WithUrlForEndpoint("web", endpoint => new ResourceUrlAnnotation { Url = "/added", DisplayText = endpoint.EndpointName })
            .WithIconName("Toolbox", IconVariant.Regular)
            .WithHttpCommand("/reset", "Reset", endpointName: "web", commandName: "reset", commandOptions: new HttpCommandOptions { Method = HttpMethod.Delete })
            .WithRelationship(service, "Uses").WithReferenceRelationship(service).WithParentRelationship(service).WithChildRelationship(job)
            .WithInitialState(new CustomResourceSnapshot { ResourceType = "Tool", Properties = [new("a", "b")] })
            .WithOtlpExporter(OtlpProtocol.Grpc)
            .WithHiddenOnCompletion()
            .ExcludeFromManifest()
            .WaitForStart(service).WaitForStart(service, WaitBehavior.WaitOnResourceUnavailable).WaitForCompletion(job, exitCode: 3)
            .OnBeforeResourceStarted((tool, started, ct) => Task.CompletedTask)
            .OnResourceReady((tool, ready, ct) => Task.CompletedTask);
        builder.OnBeforeStart((start, ct) => Task.CompletedTask);
    }

    internal sealed class SampleProject : IProjectMetadata
    {
        public string ProjectPath => "/nowhere/Sample.csproj";
    }
}
