using Dapper;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace MobileServices.Identity.Accounts;

internal sealed record Account(Guid Id, string Name, string DisplayName, string? Email, string? CustomerId, Guid Stamp);

/// <summary>The table <c>identity.account</c>: who may log in, and how often somebody tried.</summary>
internal sealed class AccountStore(IdentityContext database, IPasswordHasher<Account> hasher, IOptions<IdentityOptions> options, TimeProvider time)
{
    public const int LongestPassword = 256;

    /// <summary>What is verified when there is no account, so that it takes as long.</summary>
    private static readonly Account Nobody = new(Guid.Empty, "", "", null, null, Guid.Empty);
    private static string? _nobodysHash;

    /// <returns>Null when the account is not there or disabled.</returns>
    public async Task<Account?> FindAsync(string? id, CancellationToken ct) => Guid.TryParse(id, out var key)
        ? await database.Connection.QuerySingleOrDefaultAsync<Account>(new CommandDefinition(
            $"select {Columns} from identity.account where id = @key and disabled_at is null", new { key }, cancellationToken: ct))
        : null;

    /// <summary>An attempt is counted before the password is looked at, so that many at once are no more than the limit.</summary>
    /// <returns>Null when name or password is wrong or the account is locked; it is not told which.</returns>
    public async Task<Account?> LogInAsync(string name, string password, CancellationToken ct)
    {
        _nobodysHash ??= hasher.HashPassword(Nobody, Guid.NewGuid().ToString());
        var now = time.GetUtcNow();
        var attempt = new { name, now, attempts = options.Value.LockoutAttempts, until = now.AddMinutes(options.Value.LockoutMinutes) };
        var row = password.Length > LongestPassword || name.Length > AccountRules.LongestName
            ? null
            : await database.Connection.QuerySingleOrDefaultAsync<AccountRow>(new CommandDefinition(AttemptSql, attempt, cancellationToken: ct));
        var verdict = hasher.VerifyHashedPassword(Nobody, row?.PasswordHash ?? _nobodysHash, password.Length > LongestPassword ? "" : password);
        if (row is null || verdict is PasswordVerificationResult.Failed)
        {
            return null;
        }
        var hash = verdict is PasswordVerificationResult.SuccessRehashNeeded ? hasher.HashPassword(Nobody, password) : row.PasswordHash;
        await database.Connection.ExecuteAsync(new CommandDefinition(
            "update identity.account set failed_count = 0, locked_until = null, password_hash = @hash where id = @Id",
            new { hash, row.Id }, cancellationToken: ct));
        return new(row.Id, row.Name, row.DisplayName, row.Email, row.CustomerId, row.Stamp);
    }

    /// <summary>Creates an account or changes it. With a password or disabled, its browser sessions end.</summary>
    /// <returns>The account, and whether it is new; null when it would be new and has no password.</returns>
    public async Task<(Account Account, bool Created)?> PutAsync(string name, AccountChange change, CancellationToken ct)
    {
        var parameters = new
        {
            id = Guid.CreateVersion7(),
            name,
            change.DisplayName,
            change.Email,
            change.CustomerId,
            hash = change.Password is null ? null : hasher.HashPassword(Nobody, change.Password),
            stamp = Guid.NewGuid(),
            change.Disabled,
            now = time.GetUtcNow(),
        };
        if (await database.Connection.QuerySingleOrDefaultAsync<Account>(new CommandDefinition(ChangeSql, parameters, cancellationToken: ct)) is { } changed)
        {
            return (changed, false);
        }
        if (change.Password is null)
        {
            return null;
        }
        var created = await database.Connection.QuerySingleOrDefaultAsync<Account>(new CommandDefinition(CreateSql, parameters, cancellationToken: ct));
        return created is null ? await PutAsync(name, change, ct) : (created, true);
    }

    public Task<Guid?> DeleteAsync(string name, CancellationToken ct) => database.Connection.ExecuteScalarAsync<Guid?>(new CommandDefinition(
        "delete from identity.account where lower(name) = lower(@name) returning id", new { name }, cancellationToken: ct));

    private const string Columns = "id, name, display_name as DisplayName, email, customer_id as CustomerId, stamp";

    private const string AttemptSql =
        $"""
        update identity.account set
            failed_count = case when locked_until is null then failed_count + 1 else 1 end,
            locked_until = case when locked_until is null and failed_count + 1 >= @attempts then @until::timestamptz end
        where lower(name) = lower(@name) and disabled_at is null and (locked_until is null or locked_until <= @now)
        returning {Columns}, password_hash as PasswordHash
        """;

    private const string ChangeSql =
        $"""
        update identity.account set
            display_name = @DisplayName,
            email = @Email,
            customer_id = @CustomerId,
            password_hash = coalesce(@hash, password_hash),
            stamp = case when @hash is null and not @Disabled then stamp else @stamp end,
            failed_count = case when @hash is null then failed_count else 0 end,
            locked_until = case when @hash is null then locked_until end,
            disabled_at = case when @Disabled then coalesce(disabled_at, @now) end
        where lower(name) = lower(@name)
        returning {Columns}
        """;

    private const string CreateSql =
        $"""
        insert into identity.account (id, name, display_name, email, customer_id, password_hash, stamp, disabled_at, created_at)
        values (@id, @name, @DisplayName, @Email, @CustomerId, @hash, @stamp, case when @Disabled then @now end, @now)
        on conflict (lower(name)) do nothing
        returning {Columns}
        """;

    private sealed class AccountRow
    {
        public required Guid Id { get; init; }

        public required string Name { get; init; }

        public required string DisplayName { get; init; }

        public string? Email { get; init; }

        public string? CustomerId { get; init; }

        public required Guid Stamp { get; init; }

        public required string PasswordHash { get; init; }
    }
}
