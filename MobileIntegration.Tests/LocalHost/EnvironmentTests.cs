using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using MobileIntegration.LocalHost.Postgres;

namespace MobileIntegration.Tests.LocalHost;

public sealed class EnvironmentTests : IDisposable
{
    private readonly TestModel _model = new(
        "--environment=Development",
        "--ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL=http://localhost:18889",
        "--AppHost:OtlpApiKey=3d000916847c5ae2063d547661bdd898",
        "--Parameters:api-key=k3y",
        "--Parameters:postgres-password=bc3t9y.WBvKaBzgEW17Wbb",
        "--Parameters:cache-password=u6ykmUKKx40R6zRRfqtZK0");

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task Children_get_the_environment_that_Aspire_gives_them()
    {
        SampleModel.WriteProjects(_model.Folder);
        SampleModel.Add(_model.Builder);
        Allocate("postgres/tcp", 41001);
        Allocate("cache/tcp", 41003);
        Allocate("my-api/http", 5301);
        Allocate("my-api/admin", 41005);
        Allocate("worker/http", 5601);
        Allocate("worker2/http", 5602);
        Allocate("tool/http", 41008);
        var targetPorts = new Dictionary<string, int>
        {
            ["my-api/http"] = 42004,
            ["my-api/admin"] = 42005,
            ["worker/http"] = 42006,
            ["worker2/http"] = 42007,
            ["tool/http"] = 42008,
        };

        List<string> lines = [];
        foreach (var resource in _model.Builder.Resources.Where(resource => resource is not PgAdminContainerResource))
        {
            lines.Add("");
            lines.Add($"{resource.GetType().Name} {resource.Name}  endpoints: {Endpoints(resource)}".TrimEnd());
            var launch = (await EvaluateAsync(resource)).ForInstance("abcd1234", endpoint => targetPorts[$"{resource.Name}/{endpoint}"]);
            lines.AddRange(launch.Environment.Select(variable => $"    {variable.Key}={variable.Value}"));
            if (launch.Arguments.Count > 0)
            {
                lines.Add($"    args: {string.Join(' ', launch.Arguments)}");
            }
        }

        var expected = File.ReadLines(Path.Combine(AppContext.BaseDirectory, "LocalHost", "run-environment.txt")).Where(line => !line.StartsWith('#'));
        Assert.Equal(expected, lines);
    }

    [Fact]
    public async Task Text_with_an_endpoint_in_it_waits_for_the_address()
    {
        var api = _model.Builder.AddResource(new Thing("api")).WithHttpEndpoint();
        var user = _model.Builder.AddResource(new Thing("user")).WithEnvironment("CALLBACK", $"{api.GetEndpoint("http")}/back?port={api.GetEndpoint("http").Property(EndpointProperty.Port)}");

        var evaluation = EvaluateAsync(user.Resource);
        Assert.False(evaluation.IsCompleted);

        Allocate("api/http", 41100);
        Assert.Equal("http://localhost:41100/back?port=41100", (await evaluation).Environment["CALLBACK"]);
    }

    [Fact]
    public void An_endpoint_without_an_address_says_so_when_it_is_read_at_once()
    {
        var endpoint = _model.Builder.AddResource(new Thing("api")).WithHttpEndpoint().GetEndpoint("http");
        Assert.Contains("'http' of 'api' has no address yet", Assert.Throws<InvalidOperationException>(() => endpoint.Url).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Replicas_differ_in_what_each_has_for_itself()
    {
        var api = _model.Builder.AddResource(new Thing("api"))
            .WithEndpoint(scheme: "http", name: "main", env: "PORT")
            .WithOtlpExporter()
            .WithArgs("--listen", "x")
            .WithArgs(context => context.Args.Add(new EndpointReference((Thing)context.Resource, "main").Property(EndpointProperty.TargetPort)));
        var launch = await EvaluateAsync(api.Resource);

        var (first, second) = (launch.ForInstance("one", _ => 5001), launch.ForInstance("two", _ => 5002));
        Assert.Equal(("5001", "5002"), (first.Environment["PORT"], second.Environment["PORT"]));
        Assert.Equal("service.instance.id=two", second.Environment["OTEL_RESOURCE_ATTRIBUTES"]);
        Assert.Equal(["--listen", "x", "5002"], second.Arguments);
    }

    [Fact]
    public async Task The_target_port_of_another_resource_is_refused_with_the_mend()
    {
        var api = _model.Builder.AddResource(new Thing("api")).WithHttpEndpoint();
        var user = _model.Builder.AddResource(new Thing("user")).WithEnvironment("PORT", $"{api.GetEndpoint("http").Property(EndpointProperty.TargetPort)}");
        var refused = await Assert.ThrowsAsync<DistributedApplicationException>(() => EvaluateAsync(user.Resource));
        Assert.Contains("use Port", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_reference_gives_only_the_kinds_of_variables_asked_for()
    {
        var database = _model.Builder.AddPostgres("postgres").AddDatabase("db");
        Allocate("postgres/tcp", 41001);
        var user = _model.Builder.AddResource(new Thing("user"))
            .WithReference(database, connectionName: "main")
            .WithReferenceEnvironment(ReferenceEnvironmentInjectionFlags.ConnectionString);
        var variable = Assert.Single((await EvaluateAsync(user.Resource)).Environment);
        Assert.Equal("ConnectionStrings__main", variable.Key);
    }

    [Fact]
    public async Task A_password_is_percent_encoded_in_a_URI_and_only_there()
    {
        var password = _model.Builder.AddParameter("pass", "p@ss/w", secret: true);
        var server = _model.Builder.AddPostgres("postgres", password: password);
        Allocate("postgres/tcp", 41001);
        Assert.Equal("postgresql://postgres:p%40ss%2Fw@localhost:41001", await server.Resource.UriExpression.GetValueAsync(default));
        Assert.EndsWith(";Password=p@ss/w", await server.Resource.GetConnectionStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_connection_string_that_is_empty_is_an_error_unless_it_is_optional()
    {
        var empty = _model.Builder.AddConnectionString("none", ReferenceExpression.Empty);
        var strict = _model.Builder.AddResource(new Thing("strict")).WithReference(empty);
        var lenient = _model.Builder.AddResource(new Thing("lenient")).WithReference(empty, optional: true);
        var error = await Assert.ThrowsAsync<DistributedApplicationException>(() => EvaluateAsync(strict.Resource));
        Assert.Contains("ConnectionStrings__none", error.Message, StringComparison.Ordinal);
        Assert.Empty((await EvaluateAsync(lenient.Resource)).Environment);
    }

    [Fact]
    public async Task Kestrel_endpoints_of_appsettings_replace_those_of_the_launch_profile()
    {
        SampleModel.WriteProjects(_model.Folder);
        await File.WriteAllTextAsync(Path.Combine(_model.Folder, "Api", "appsettings.json"), """{ "Kestrel": { "Endpoints": { "grpc": { "Url": "http://*:5400" } } } }""");
        var api = _model.Builder.AddProject("api", "Api");
        var environment = (await EvaluateAsync(api.Resource)).ForInstance("x", _ => 42000).Environment;
        Assert.Equal("http://localhost:42000", environment["Kestrel__Endpoints__grpc__Url"]);
        Assert.DoesNotContain("ASPNETCORE_URLS", environment.Keys);
        Assert.Equal(5400, api.GetEndpoint("grpc").EndpointAnnotation.Port);
    }

    [Fact]
    public void A_launch_profile_that_is_not_there_is_refused_with_those_that_are()
    {
        SampleModel.WriteProjects(_model.Folder);
        var refused = Assert.Throws<DistributedApplicationException>(() => _model.Builder.AddProject("api", "Api", "https"));
        Assert.Contains("it has: IIS Express, http", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_launch_profile_a_project_gets_none_of_its_variables()
    {
        SampleModel.WriteProjects(_model.Folder);
        var api = _model.Builder.AddProject("api", "Api", launchProfileName: null).WithHttpEndpoint();
        var environment = (await EvaluateAsync(api.Resource)).ForInstance("x", _ => 42000).Environment;
        Assert.Equal("http://localhost:42000", environment["ASPNETCORE_URLS"]);
        Assert.DoesNotContain("DOTNET_LAUNCH_PROFILE", environment.Keys);
        Assert.DoesNotContain("ASPNETCORE_ENVIRONMENT", environment.Keys);
    }

    [Fact]
    public void Without_a_proxy_both_ports_are_the_same()
    {
        var endpoint = new EndpointAnnotation(ProtocolType.Tcp, "http", port: 5000, isProxied: false);
        Assert.Equal(5000, endpoint.TargetPort);
        Assert.Null(new EndpointAnnotation(ProtocolType.Tcp, "http", port: 5000).TargetPort);
    }

    private void Allocate(string endpoint, int port)
    {
        var (resource, name) = endpoint.Split('/') is [var left, var right] ? (left, right) : throw new ArgumentException(endpoint);
        Assert.True(_model.Builder.Resources.TryGetByName(resource, out var found));
        var annotation = found.Annotations.OfType<EndpointAnnotation>().Single(one => one.Name == name);
        annotation.AllocatedEndpoint = new AllocatedEndpoint(annotation, "localhost", port);
    }

    private Task<ResourceLaunch> EvaluateAsync(IResource resource) =>
        ResourceLaunch.EvaluateAsync(resource, _model.Builder.ExecutionContext, NullLogger.Instance, CancellationToken.None);

    private static string Endpoints(IResource resource) => string.Join(" | ", resource.Annotations.OfType<EndpointAnnotation>().Select(endpoint =>
        $"{endpoint.Name} scheme={endpoint.UriScheme} port={endpoint.Port} target={endpoint.TargetPort} proxied={endpoint.IsProxied} transport={endpoint.Transport} ext={endpoint.IsExternal}"));
}
