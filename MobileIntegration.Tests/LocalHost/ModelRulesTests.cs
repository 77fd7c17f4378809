using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace MobileIntegration.Tests.LocalHost;

public sealed class ModelRulesTests : IDisposable
{
    private readonly TestModel _model = new();

    public void Dispose() => _model.Dispose();

    [Theory]
    [InlineData("", "it is empty")]
    [InlineData("1api", "it must start with a letter")]
    [InlineData("a_b", "'_' is not allowed")]
    [InlineData("äpi", "it must start with a letter")]
    [InlineData("a--b", "two hyphens in a row")]
    [InlineData("api-", "it must not end with a hyphen")]
    [InlineData("a123456789012345678901234567890123456789012345678901234567890123x", "it has 65 characters and may have 64")]
    public void A_name_that_is_not_valid_is_refused_with_the_reason(string name, string reason)
    {
        var refused = Assert.Throws<DistributedApplicationException>(() => _model.Builder.AddResource(new Thing(name)));
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Fact]
    public void Names_are_unique_whatever_the_case()
    {
        _model.Builder.AddResource(new Thing("Api"));
        var refused = Assert.Throws<DistributedApplicationException>(() => _model.Builder.AddRedis("api"));
        Assert.Contains("Two resources are called 'Api'", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cycle_of_waits_is_named_with_a_call_to_remove()
    {
        var (a, b, c) = (Add("a"), Add("b"), Add("c"));
        a.WaitFor(b);
        b.WaitForStart(c);
        c.WaitFor(a);
        AssertRefused("a -> b -> c -> a", "WaitFor(a) on 'c'");
    }

    [Fact]
    public void A_server_that_waits_for_its_database_is_a_cycle_too()
    {
        var server = _model.Builder.AddPostgres("pg");
        var database = server.AddDatabase("db");
        var between = Add("between").WaitFor(database);
        server.WaitFor(between);
        AssertRefused("pg -> between -> db -> pg");
    }

    [Fact]
    public void Waits_that_meet_again_are_no_cycle()
    {
        var (a, b, c, d) = (Add("a"), Add("b"), Add("c"), Add("d"));
        a.WaitFor(b).WaitFor(c);
        b.WaitFor(d);
        c.WaitFor(d);
        Assert.NotNull(_model.Application);
    }

    [Fact]
    public void Replicas_need_a_proxy()
    {
        AddProject().WithReplicas(2).WithHttpEndpoint(isProxied: false);
        AssertRefused("Endpoint 'http' of 'api' has no proxy", "remove isProxied: false or WithReplicas(2)");
    }

    [Fact]
    public void Replicas_cannot_share_a_target_port()
    {
        AddProject().WithReplicas(3).WithHttpEndpoint(targetPort: 5000);
        AssertRefused("fixed target port 5000", "remove targetPort or WithReplicas(3)");
    }

    [Fact]
    public void A_proxy_and_its_process_cannot_share_a_port()
    {
        AddProject().WithHttpEndpoint(port: 5000, targetPort: 5000);
        AssertRefused("has 5000 as port and as target port");
    }

    [Fact]
    public void A_port_is_a_port()
    {
        AddProject().WithHttpEndpoint(port: 70000);
        AssertRefused("has the port 70000: choose one from 1 to 65535");
    }

    [Fact]
    public void A_reference_to_an_endpoint_that_is_not_there_is_refused_with_those_that_are()
    {
        var api = AddProject().WithHttpEndpoint();
        Add("user").WithReference(api.GetEndpoint("grpc"));
        AssertRefused("'user' refers to endpoint 'grpc' of 'api'", "It has 'http'");
    }

    [Fact]
    public void A_value_with_an_endpoint_that_is_not_there_is_refused_too()
    {
        var api = AddProject();
        Add("user").WithEnvironment("URL", $"{api.GetEndpoint("http")}/x");
        AssertRefused("'user' refers to endpoint 'http' of 'api'", "add one with WithHttpEndpoint()");
    }

    [Fact]
    public void An_endpoint_may_be_added_after_it_was_referred_to()
    {
        var api = AddProject();
        Add("user").WithEnvironment("URL", api.GetEndpoint("http")).WithReference(api.GetEndpoint("http"));
        api.WithHttpEndpoint();
        Assert.NotNull(_model.Application);
    }

    [Fact]
    public void A_health_check_of_an_endpoint_that_is_not_there_is_refused()
    {
        Assert.Contains("call WithHttpEndpoint() before", Refused(() => AddProject().WithHttpHealthCheck("/health")), StringComparison.Ordinal);
        Assert.Contains("whose scheme is tcp", Refused(() => Add("tcp").WithEndpoint(name: "raw").WithHttpHealthCheck(endpointName: "raw")), StringComparison.Ordinal);
    }

    [Fact]
    public void An_endpoint_that_is_added_again_is_changed()
    {
        var api = AddProject().WithHttpEndpoint(name: "web").WithHttpEndpoint(port: 5001, name: "web");
        Assert.Equal(5001, Assert.Single(api.Resource.Annotations.OfType<EndpointAnnotation>()).Port);
    }

    [Fact]
    public void The_sample_AppHost_builds()
    {
        SampleAppHost.Add(_model.Builder);
        Assert.NotNull(_model.Application);
        Assert.Equal(54398, Endpoint("postgres", "tcp").Port);
        Assert.Null(Endpoint("cache", "tcp").Port);
        Assert.Equal(6391, Endpoint("plain", "tcp").Port);
        Assert.Equal("bash", _model.Builder.CreateResourceBuilder<ExecutableResource>("tool").Resource.Command);
        Assert.All(_model.Builder.Resources.Where(resource => resource.Name is "pgadmin" or "pgweb" or "redisinsight" or "rediscommander"), resource =>
            Assert.Contains("container engine", resource.Annotations.OfType<UnavailableAnnotation>().Single().Reason, StringComparison.Ordinal));
        Assert.NotNull(_model.Service<HealthCheckService>());
    }

    [Fact]
    public void Services_of_the_application_are_there_once_it_is_built()
    {
        Assert.Throws<InvalidOperationException>(() => _model.Builder.ExecutionContext.Services);
        Assert.Same(_model.Application.Services, _model.Builder.ExecutionContext.Services);
        Assert.Same(_model.Builder.Eventing, _model.Application.Services.GetRequiredService<MobileIntegration.LocalHost.Eventing.IDistributedApplicationEventing>());
    }

    private IResourceBuilder<Thing> Add(string name) => _model.Builder.AddResource(new Thing(name));

    private IResourceBuilder<ProjectResource> AddProject() => _model.Builder.AddProject<SampleAppHost.SampleProject>("api", launchProfileName: null);

    private EndpointAnnotation Endpoint(string resource, string name) =>
        _model.Builder.CreateResourceBuilder<IResourceWithEndpoints>(resource).GetEndpoint(name).EndpointAnnotation;

    private static string Refused(Action action) => Assert.Throws<DistributedApplicationException>(action).Message;

    private void AssertRefused(params string[] parts)
    {
        var message = Refused(() => _model.Builder.Build());
        Assert.All(parts, part => Assert.Contains(part, message, StringComparison.Ordinal));
        Assert.DoesNotContain('\n', message);
    }
}
