using Dapper;
using Npgsql;

namespace MobileServices.Identity.Accounts;

/// <summary>The account to try the system with; made in Development only, and when there is none of that name.</summary>
internal sealed class DevelopmentAccount(IServiceProvider services, NpgsqlDataSource database) : IHostedService
{
    public const string Name = "ada";
    public const string Customer = "C-000123";
    public const string Password = "development-only";

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        if (await connection.ExecuteScalarAsync<bool>("select exists(select from identity.account where lower(name) = @Name)", new { Name }))
        {
            return;
        }
        await using var scope = services.CreateAsyncScope();
        await scope.ServiceProvider.GetRequiredService<AccountStore>()
            .PutAsync(Name, new("Ada Lovelace", "ada@example.com", Customer, Password, Disabled: false), cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
