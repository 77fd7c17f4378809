using Dapper;
using Npgsql;

namespace FrontendServices.Account;

/// <summary>The tables of the schema <c>account</c>. Times are the database's own.</summary>
internal sealed class AccountStore(NpgsqlDataSource database)
{
    /// <summary>What one may agree to; anything that nobody was asked for is refused.</summary>
    public static readonly string[] Purposes = ["marketing", "profiling", "analytics"];

    public async Task<KnownPreferences> GetPreferencesAsync(string customerId, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.QuerySingleOrDefaultAsync<KnownPreferences>(new CommandDefinition(
            "select language, theme, order_news as OrderNews, offers, revision from account.preferences where customer_id = @customerId",
            new { customerId }, cancellationToken: ct)) ?? new(null, "system", true, false, 0);
    }

    /// <param name="revision">The one that is changed; null for any.</param>
    /// <returns>The new revision; null when another one is current.</returns>
    public async Task<int?> SetPreferencesAsync(string customerId, Preferences preferences, int? revision, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return await connection.QuerySingleOrDefaultAsync<int?>(new CommandDefinition(
            """
            insert into account.preferences as p (customer_id, language, theme, order_news, offers, revision, changed_at)
            select @customerId, @Language, @Theme, @OrderNews, @Offers, 1, now()
            where @revision::int is null or @revision = 0 or exists (select from account.preferences where customer_id = @customerId)
            on conflict (customer_id) do update
            set language = @Language, theme = @Theme, order_news = @OrderNews, offers = @Offers, revision = p.revision + 1, changed_at = now()
            where @revision::int is null or p.revision = @revision
            returning revision
            """,
            new { customerId, preferences.Language, preferences.Theme, preferences.OrderNews, preferences.Offers, revision }, cancellationToken: ct));
    }

    /// <summary>One for each purpose, also those that nobody was asked for.</summary>
    public async Task<List<Consent>> GetConsentsAsync(string customerId, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        var said = (await connection.QueryAsync<ConsentRow>(new CommandDefinition(
            """
            select distinct on (purpose) purpose as Purpose, granted as Granted, text_version as TextVersion, at as At
            from account.consents where customer_id = @customerId order by purpose, number desc
            """,
            new { customerId }, cancellationToken: ct))).ToDictionary(row => row.Purpose, StringComparer.Ordinal);
        return [.. Purposes.Select(purpose => said.TryGetValue(purpose, out var row) ? row.ToConsent() : new Consent(purpose, false, null, null))];
    }

    /// <summary>Writes down what the customer says now; the same again changes nothing.</summary>
    public async Task AddConsentAsync(string customerId, string purpose, ConsentChange change, string? clientId, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(
            """
            insert into account.consents (customer_id, purpose, granted, text_version, client_id, at)
            select @customerId, @purpose, @Granted, @TextVersion, @clientId, now()
            where not exists (
                select from (select granted, text_version from account.consents where customer_id = @customerId and purpose = @purpose order by number desc limit 1) as last
                where last.granted = @Granted and last.text_version = @TextVersion)
            """,
            new { customerId, purpose, change.Granted, change.TextVersion, clientId }, cancellationToken: ct));
    }

    private sealed record ConsentRow(string Purpose, bool Granted, string TextVersion, DateTime At)
    {
        public Consent ToConsent() => new(Purpose, Granted, TextVersion, new(DateTime.SpecifyKind(At, DateTimeKind.Utc)));
    }
}
