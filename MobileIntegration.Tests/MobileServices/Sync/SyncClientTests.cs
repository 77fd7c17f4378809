using static MobileIntegration.Tests.MobileServices.Sync.SyncService;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Other people's clients, unmodified, through the gateway with a bearer token.</summary>
public sealed class SyncClientTests(SyncService service) : IClassFixture<SyncService>
{
    private readonly string _token = Token(service.NewUser());

    [Theory]
    [InlineData("replicate")]
    [InlineData("live")]
    [InlineData("leveldb:replicate")]
    [InlineData("leveldb:live")]
    public async Task PouchDB_replicates_both_ways(string scenario)
    {
        var told = await RunAsync("pouchdb.mjs", scenario, service.Gateway.Address.ToString(), _token);
        Assert.True(told.GetProperty("documents").GetInt32() > 5);
    }

    [Theory]
    [InlineData("memory", 1)]
    [InlineData("memory", 2)]
    [InlineData("leveldb", 3)]
    public async Task Three_peers_that_edit_at_random_come_to_the_same_trees(string adapter, int seed)
    {
        var told = await RunAsync("pouchdb.mjs", $"{adapter}:converge", service.Gateway.Address.ToString(), _token, $"{seed}", "400");
        Assert.True(told.GetProperty("leaves").GetInt32() > 20);
    }

    [Fact]
    public async Task RxDB_converges_with_itself_and_whoever_else_writes() =>
        Assert.True((await RunAsync("rxdb.mjs", service.Gateway.Address.ToString(), _token)).GetProperty("ok").GetBoolean());

    [Fact]
    public async Task RxDB_and_PouchDB_converge_with_each_other() =>
        Assert.Equal(98, (await RunAsync("rxdb-pouchdb.mjs", service.Gateway.Address.ToString(), _token)).GetProperty("documents").GetInt32());

    [Fact]
    public async Task Nano_drives_the_api() =>
        Assert.True((await RunAsync("nano.mjs", service.Gateway.Address.ToString(), _token)).GetProperty("ok").GetBoolean());

    /// <summary>Differences that are meant stand in the script, each with its reason.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Random_calls_are_answered_as_by_another_server(int seed)
    {
        var told = await RunAsync("differential.mjs", service.Gateway.Address.ToString(), _token, $"{seed}", "400");
        Assert.Equal(400, told.GetProperty("calls").GetInt32());
    }
}
