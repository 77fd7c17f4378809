using Dapper;
using MobileServices.Sync.Documents;
using Npgsql;

namespace MobileIntegration.Tests.MobileServices.Sync;

/// <summary>Connections keep the plans of their statements, which may be as old as the empty tables: what is read by key then must be read by key when there are many.</summary>
public sealed class PlanTests(SyncService service) : IClassFixture<SyncService>
{
    public static TheoryData<string, string, string> Statements => new()
    {
        { "text, text, text, text[]", EditTransaction.ToReadDocuments, "'app', 'owner', 'notes', '{d7,d8}'" },
        { "text, text, text", EditTransaction.ToReadRules, "'app', 'owner', 'notes'" },
        { "bigint, text[]", DocumentStore.ToFind, "4711, '{d7,d8}'" },
        { "bigint, text[]", DocumentStore.ToPage, "4711, '{d7,d8}'" },
    };

    [Theory]
    [MemberData(nameof(Statements))]
    public async Task A_plan_that_was_made_for_no_documents_reads_by_key_among_thousands(string types, string statement, string values)
    {
        await using var connection = new NpgsqlConnection(service.Database);
        await connection.OpenAsync();
        await connection.ExecuteAsync("delete from sync.database where id = 4711; truncate sync.document; set plan_cache_mode = force_generic_plan");
        await connection.ExecuteAsync($"prepare planned ({types}) as {statement}");
        await connection.ExecuteAsync($"execute planned ({values})");
        await connection.ExecuteAsync("""
            insert into sync.database (id, app, owner, name, epoch, revs_limit, created_at) overriding system value values (4711, 'app', 'owner', 'notes', '0', 1000, now());
            insert into sync.document (db_id, doc_id, seq, rev, deleted, tree, body) select 4711, 'd' || n, n, '1-a', false, '', '{}' from generate_series(1, 5000) n
            """);

        var plan = string.Join('\n', await connection.QueryAsync<string>($"explain (analyze, timing off) execute planned ({values})"));

        Assert.Contains("document_pkey", plan, StringComparison.Ordinal);
        Assert.Contains("db_id = ", plan, StringComparison.Ordinal);
        Assert.DoesNotMatch(@"Rows Removed by Filter|document_seq|document_living|Seq Scan on document", plan);
    }
}
