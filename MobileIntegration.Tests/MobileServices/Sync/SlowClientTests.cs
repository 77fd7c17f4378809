using System.Text.Json.Nodes;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Clients that take their time with an answer keep nobody else waiting.</summary>
public sealed class SlowClientTests(SyncService service) : IClassFixture<SyncService>
{
    private const int Rows = 2400;

    [Theory]
    [InlineData("_design/d/_view/v", null, "rows", "id")]
    [InlineData("_design/d/_view/v?include_docs=true&descending=true", null, "rows", "id")]
    [InlineData("_find", """{"selector":{"n":{"$gte":0}},"limit":3000}""", "docs", "_id")]
    [InlineData("_all_docs?include_docs=true", null, "rows", "id")]
    [InlineData("_local_docs?include_docs=true", null, "rows", "id")]
    public async Task They_hold_no_connection_to_the_database_and_get_all_of_it_in_the_end(string path, string? json, string list, string id)
    {
        // As many as the others are, and more than the service has connections.
        await using var small = service.Start(("ConnectionStrings:mobiledb", $"{service.Database};Maximum Pool Size=4;Timeout=10"));
        using var client = service.ClientOf(service.NewUser(), small.Address);
        await client.PutAsync("slow");
        var text = new string('x', 10_000);
        foreach (var some in Enumerable.Range(1000, Rows).Chunk(800))
        {
            await client.PostAsync("slow/_bulk_docs", $$"""{"docs":[{{string.Join(',', some.Select(n => $$"""{"_id":"d{{n}}","n":{{n}},"text":"{{text}}"}"""))}}]}""", 201);
        }
        if (path.StartsWith("_local", StringComparison.Ordinal))
        {
            foreach (var some in Enumerable.Range(1000, Rows).Chunk(800))
            {
                await client.PostAsync("slow/_bulk_docs", $$"""{"docs":[{{string.Join(',', some.Select(n => $$"""{"_id":"_local/d{{n}}","text":"{{text}}"}"""))}}]}""", 201);
            }
        }
        else
        {
            await client.PutAsync("slow/_design/d", """{"views":{"v":{"map":"function (doc) { emit(doc.n, doc.text); }"}}}""");
            await client.PostAsync("slow/_index", """{"index":{"fields":["n"]},"ddoc":"by","name":"n"}""");
        }

        var slow = new List<HttpResponseMessage>();
        try
        {
            for (var n = 0; n < 10; n++)
            {
                var request = new HttpRequestMessage(json is null ? HttpMethod.Get : HttpMethod.Post, $"slow/{path}") { Content = json is null ? null : SyncClient.Json(json) };
                slow.Add(await client.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead));
            }
            // They have read nothing yet. What changes meanwhile is not in their way.
            await client.PostAsync("slow/_find", """{"selector":{"n":{"$gte":3390}}}""");
            await client.GetAsync("slow/d1000");
            await client.PutAsync("slow/d0000", """{"n":-1}""");
            foreach (var response in slow.Take(2))
            {
                var all = JsonNode.Parse(await response.Content.ReadAsStringAsync())![list]!.AsArray().Select(row => (string)row![id]!).Select(name => name[(name.LastIndexOf('/') + 1)..]);
                var expected = Enumerable.Range(1000, Rows).Select(n => $"d{n}");
                Assert.Equal(path.Contains("descending", StringComparison.Ordinal) ? expected.Reverse() : expected, all.Where(name => name is not ("d" or "by" or "d0000")));
            }
        }
        finally
        {
            slow.ForEach(response => response.Dispose());
        }
    }

    /// <summary>What is reduced is not sent before it is done.</summary>
    [Fact]
    public async Task A_sum_is_that_of_one_moment_whatever_moves_meanwhile()
    {
        using var client = service.ClientOf(service.NewUser());
        await client.PutAsync("sum");
        await client.PutAsync("sum/_design/d", """{"views":{"v":{"map":"function (doc) { emit(doc.at, 1); }","reduce":"_sum"}}}""");
        await client.PostAsync("sum/_bulk_docs", $$"""{"docs":[{{string.Join(',', Enumerable.Range(0, 1500).Select(n => $$"""{"_id":"d{{n}}","at":{{n}}}"""))}},{"_id":"moves","at":-1}]}""", 201);
        var moving = true;
        var mover = Task.Run(async () =>
        {
            var rev = (string)(await client.GetAsync("sum/moves"))["_rev"]!;
            for (var n = 0; Volatile.Read(ref moving); n++)
            {
                rev = (string)(await client.PutAsync("sum/moves", $$"""{"_rev":"{{rev}}","at":{{(n % 2 is 0 ? 9999 : -1)}}}"""))["rev"]!;
            }
        });
        for (var n = 0; n < 30; n++)
        {
            Assert.Equal(1501, (int)(await client.GetAsync("sum/_design/d/_view/v"))["rows"]![0]!["value"]!);
        }
        Volatile.Write(ref moving, false);
        await mover;
    }
}
