using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using BackendSystems.Seeding;
using BackendSystems.Webhooks;
using Bogus;
using Dapper;
using Npgsql;

namespace BackendSystems.Crm;

/// <summary>All SQL of the Crm.</summary>
internal sealed class CrmStore(
    [FromKeyedServices(Databases.Backend)] NpgsqlDataSource database, [FromKeyedServices(CrmSetup.Name)] WebhookChannel webhooks, TimeProvider time)
{
    private const string Columns = "customer_no, rev, modified_at, tier, points, member_since, fields::text as fields";

    public async Task<(IReadOnlyList<Customer> Items, int Total)> ListAsync(string? q, int[]? numbers, int offset, int limit, CancellationToken ct)
    {
        const string Sql = $"""
            select count(*)::int from crm.customers
            where (@pattern::text is null or search like @pattern) and (@numbers::int[] is null or customer_no = any(@numbers));
            select {Columns} from crm.customers
            where (@pattern::text is null or search like @pattern) and (@numbers::int[] is null or customer_no = any(@numbers))
            order by customer_no offset @offset limit @limit
            """;
        var pattern = q is null ? null : $"%{Escape(q.ToLowerInvariant())}%";
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var results = await connection.QueryMultipleAsync(
            new CommandDefinition(Sql, new { pattern, numbers, offset, limit }, cancellationToken: ct));
        var total = await results.ReadSingleAsync<int>();
        return ([.. (await results.ReadAsync<Row>()).Select(row => row.ToCustomer())], total);
    }

    public async Task<Customer?> FindAsync(int number, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        return (await connection.QuerySingleOrDefaultAsync<Row>(new CommandDefinition(
            $"select {Columns} from crm.customers where customer_no = @number", new { number }, cancellationToken: ct)))?.ToCustomer();
    }

    /// <summary>
    /// Lets <paramref name="edit"/> decide on the locked current state: fields to write, or null to leave it. Fields equal to the stored ones
    /// change nothing and keep the rev.
    /// </summary>
    /// <returns>The customer as it is now, or null when there is none.</returns>
    public async Task<Customer?> EditAsync(int number, Func<Customer, CustomerFields, CustomerFields?> edit, CancellationToken ct)
    {
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        var row = await connection.QuerySingleOrDefaultAsync<Row>(new CommandDefinition(
            $"select {Columns} from crm.customers where customer_no = @number for update", new { number }, transaction, cancellationToken: ct));
        if (row is null)
        {
            return null;
        }

        var current = CustomerFields.FromJson(row.Fields);
        var edited = edit(row.ToCustomer(), current);
        if (edited is null || await WriteAsync(transaction, row, current, edited, ct) is not { } written)
        {
            return row.ToCustomer();
        }

        await transaction.CommitAsync(ct);
        webhooks.Wake();
        return written.ToCustomer();
    }

    /// <summary>Customers chosen by the seed move to another city.</summary>
    public async Task<IReadOnlyList<string>> MoveAsync(int count, int seed, CancellationToken ct)
    {
        const string Choose = $"""
            select pg_advisory_xact_lock(hashtext('crm.simulate'));
            select {Columns} from crm.customers order by md5(customer_no::text || ':' || @seed), customer_no limit @count for update
            """;
        await using var connection = await database.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await using var results = await connection.QueryMultipleAsync(
            new CommandDefinition(Choose, new { seed = seed.ToString(CultureInfo.InvariantCulture), count }, transaction, cancellationToken: ct));
        await results.ReadAsync();
        var rows = (await results.ReadAsync<Row>()).AsList();
        var random = new Randomizer(seed);
        var changed = new List<string>();
        foreach (var row in rows)
        {
            var fields = CustomerFields.FromJson(row.Fields);
            var old = fields.Addresses!.First(address => address.Primary);
            var city = random.ListItem(Company.Cities.Where(city => city.Name != old.City).ToList());
            var home = SeedCustomers.AddressIn(city, random, random.ArrayElement(MovedTo));
            var moved = old with
            {
                Street = home.Street,
                HouseNumber = home.HouseNumber,
                Postcode = home.Postcode,
                City = city.Name,
                Country = city.Country,
                Latitude = home.Latitude,
                Longitude = home.Longitude,
            };
            var edited = fields with { Addresses = [.. fields.Addresses!.Select(address => address == old ? moved : address)] };
            await WriteAsync(transaction, row, fields, edited, ct);
            changed.Add(Company.CustomerId(row.CustomerNo));
        }

        await transaction.CommitAsync(ct);
        webhooks.Wake();
        return changed;
    }

    private static readonly string[] MovedTo = ["Neue Straße", "Am Markt", "Gartenweg", "Kirchgasse", "Ringstraße", "Uferpromenade", "Schulstraße"];

    /// <returns>The new row, or null when nothing differs.</returns>
    private async Task<Row?> WriteAsync(NpgsqlTransaction transaction, Row row, CustomerFields current, CustomerFields edited, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var consent = edited.Consent! with { Changed = current.Consent!.Changed };
        edited = edited with { Consent = consent == current.Consent ? consent : consent with { Changed = now.UtcDateTime } };
        var changed = Differences(current, edited);
        if (changed.Length == 0)
        {
            return null;
        }

        const string Update = $"""
            update crm.customers set rev = rev + 1, modified_at = @now, fields = @fields::jsonb, search = @search
            where customer_no = @number returning {Columns}
            """;
        var written = await transaction.Connection!.QuerySingleAsync<Row>(new CommandDefinition(
            Update, new { now, fields = edited.ToJson(), search = edited.SearchText(), number = row.CustomerNo }, transaction, cancellationToken: ct));
        var id = Company.CustomerId(row.CustomerNo);
        await webhooks.AddAsync(transaction, [new("customer.updated", id, new { id, written.Rev, changed })], ct);
        return written;
    }

    private static string[] Differences(CustomerFields current, CustomerFields edited)
    {
        var before = JsonSerializer.SerializeToNode(current, JsonSerializerOptions.Web)!.AsObject();
        var after = JsonSerializer.SerializeToNode(edited, JsonSerializerOptions.Web)!.AsObject();
        return [.. after.Where(member => !JsonNode.DeepEquals(member.Value, before[member.Key])).Select(member => member.Key)];
    }

    private static string Escape(string text) => text.Replace(@"\", @"\\").Replace("%", @"\%").Replace("_", @"\_");

    private sealed record Row(int CustomerNo, int Rev, DateTime ModifiedAt, string Tier, int Points, DateOnly MemberSince, string Fields)
    {
        public Customer ToCustomer()
        {
            var fields = CustomerFields.FromJson(Fields);
            return new(
                Company.CustomerId(CustomerNo), Rev, ModifiedAt, fields.Name!, fields.Email!, fields.Phone, fields.BirthDate, fields.Language!,
                new(Tier, Points, MemberSince), fields.Addresses!, fields.Preferences!, fields.Consent!);
        }
    }
}
