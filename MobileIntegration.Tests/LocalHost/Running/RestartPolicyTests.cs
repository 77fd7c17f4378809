using Microsoft.Extensions.Configuration;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.Tests.LocalHost.Running;

public sealed class RestartPolicyTests
{
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(1);

    [Fact]
    public void Delays_double_to_half_a_minute_and_begin_anew_after_a_minute_of_running()
    {
        var policy = Policy(new ProjectResource("api"));

        Assert.Equal([1, 2, 4, 8, 16, 30, 30], Enumerable.Range(0, 7).Select(_ => policy.AfterExit(1, Moment)!.Value.TotalSeconds));
        Assert.Equal(1, policy.AfterExit(1, TimeSpan.FromMinutes(1))!.Value.TotalSeconds);
        Assert.Equal(2, policy.AfterExit(1, Moment)!.Value.TotalSeconds);
    }

    [Fact]
    public void What_ended_well_is_not_started_again() => Assert.Null(Policy(new ProjectResource("api")).AfterExit(0, Moment));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Projects_start_again_unless_set_otherwise_and_executables_do_not(bool isProject)
    {
        Resource resource = isProject ? new ProjectResource("one") : new ExecutableResource("one", "sh", "/");
        Assert.Equal(isProject, Policy(resource).AfterExit(1, Moment) is not null);
        Assert.Null(new RestartPolicy(resource, Settings(), testing: true).AfterExit(1, Moment));

        var other = isProject ? "never" : "on-failure";
        Assert.Equal(!isProject, Policy(resource, ("RestartPolicy", other)).AfterExit(1, Moment) is not null);
        Assert.Equal(!isProject, Policy(resource, ("RestartPolicy:one", other), ("RestartPolicy:two", "nonsense")).AfterExit(1, Moment) is not null);
    }

    private static RestartPolicy Policy(IResource resource, params (string Name, string Value)[] settings) => new(resource, Settings(settings), testing: false);

    private static IConfiguration Settings(params (string Name, string Value)[] settings) =>
        new ConfigurationBuilder().AddInMemoryCollection(settings.ToDictionary(one => one.Name, string? (one) => one.Value)).Build();
}
