namespace MobileIntegration.Tests.LocalHost;

public sealed class WaitTests : IDisposable
{
    private readonly TestModel _model = new();
    private readonly IResourceBuilder<Thing> _waiter;
    private readonly IResourceBuilder<Thing> _dependency;

    public WaitTests()
    {
        _waiter = _model.Builder.AddResource(new Thing("waiter"));
        _dependency = _model.Builder.AddResource(new Thing("dependency"));
    }

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task A_resource_is_shown_as_waiting_with_what_it_waits_for()
    {
        _waiter.WaitFor(_dependency);
        var waiting = WaitAsync();
        Assert.True(_model.Notifications.TryGetCurrentState("waiter", out var state));
        Assert.Equal(KnownResourceStates.Waiting, state.Snapshot.State?.Text);
        Assert.Equal(["dependency"], (string[])state.Snapshot.Properties.Single(property => property.Name == "resource.waitingFor").Value!);

        await _model.SetReadyAsync(_dependency.Resource);
        await waiting;
    }

    [Fact]
    public async Task Waiting_for_the_start_does_not_wait_for_health()
    {
        _waiter.WaitForStart(_dependency);
        var waiting = WaitAsync();
        await _model.Notifications.PublishUpdateAsync(
            _dependency.Resource, snapshot => snapshot.WithHealthReports([new("check", null, null, null)]) with { State = KnownResourceStates.Running });
        await waiting;
    }

    [Fact]
    public async Task Waiting_for_a_database_waits_for_its_server_too()
    {
        var server = _model.Builder.AddPostgres("postgres");
        var database = server.AddDatabase("db");
        _waiter.WaitFor(database);
        var waiting = WaitAsync();
        await _model.SetReadyAsync(database.Resource);
        Assert.False(waiting.IsCompleted);
        await _model.SetStateAsync(server.Resource, KnownResourceStates.FailedToStart);
        var failure = await Assert.ThrowsAsync<DistributedApplicationException>(() => waiting);
        Assert.Contains("'postgres' will not become healthy", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Waiting_for_a_connection_string_waits_for_what_it_is_made_from()
    {
        var parameter = _model.Builder.AddParameter("key", "x");
        var connection = _model.Builder.AddConnectionString("made", ReferenceExpression.Create($"Key={parameter}"));
        _waiter.WaitFor(connection);
        var waiting = WaitAsync();
        await _model.SetReadyAsync(connection.Resource);
        Assert.False(waiting.IsCompleted);
        await _model.SetReadyAsync(parameter.Resource);
        await waiting;
    }

    [Theory]
    [InlineData(3, true)]
    [InlineData(1, false)]
    public async Task Completion_counts_only_with_the_expected_exit_code(int exitCode, bool completes)
    {
        _waiter.WaitForCompletion(_dependency, exitCode: 3);
        var waiting = WaitAsync();
        await _model.SetStateAsync(_dependency.Resource, KnownResourceStates.Running);
        Assert.False(waiting.IsCompleted);
        await _model.SetStateAsync(_dependency.Resource, KnownResourceStates.Finished, exitCode);
        if (completes)
        {
            await waiting;
        }
        else
        {
            var failure = await Assert.ThrowsAsync<DistributedApplicationException>(() => waiting);
            Assert.Contains("exit code 3 but ended with 1", failure.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Without_a_dashboard_a_failed_dependency_fails_what_waits()
    {
        var never = _model.Builder.AddResource(new Thing("never"));
        _waiter.WaitFor(never).WaitFor(_dependency);
        var waiting = WaitAsync();
        await _model.SetStateAsync(_dependency.Resource, KnownResourceStates.FailedToStart);
        var failure = await Assert.ThrowsAsync<DistributedApplicationException>(() => waiting);
        Assert.Contains("'dependency' will not become healthy", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_patient_wait_says_so_in_the_log_and_goes_on_when_the_dependency_is_started_again()
    {
        _waiter.WaitFor(_dependency, WaitBehavior.WaitOnResourceUnavailable);
        var waiting = WaitAsync();
        await _model.SetStateAsync(_dependency.Resource, KnownResourceStates.Finished, exitCode: 1);
        await Eventually.TrueAsync(
            async () => (await LogTests.AllAsync(_model.Logs.GetAllAsync("waiter"))).Any(line => line.IsErrorMessage && line.Content.Contains("started again", StringComparison.Ordinal)),
            TimeSpan.FromSeconds(10));
        Assert.False(waiting.IsCompleted);
        await _model.SetReadyAsync(_dependency.Resource);
        await waiting;
    }

    [Fact]
    public void A_resource_waits_neither_for_itself_nor_for_its_parent()
    {
        Assert.Throws<DistributedApplicationException>(() => _waiter.WaitFor(_waiter));
        var child = _model.Builder.AddResource(new Child("child", _dependency.Resource));
        Assert.Throws<DistributedApplicationException>(() => child.WaitFor(_dependency));
    }

    private Task WaitAsync() => _model.Notifications.WaitForDependenciesAsync(_waiter.Resource, CancellationToken.None);

    private sealed class Child(string name, Thing parent) : Resource(name), IResourceWithParent<Thing>, IResourceWithWaitSupport
    {
        public Thing Parent => parent;
    }
}
