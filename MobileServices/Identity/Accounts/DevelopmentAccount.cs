namespace MobileServices.Identity.Accounts;

/// <summary>The account to try the system with; made in Development only.</summary>
internal sealed class DevelopmentAccount(IServiceProvider services) : IHostedService
{
    public const string Name = "ada";
    public const string Customer = "C-000123";
    public const string Password = "development-only";

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await using var scope = services.CreateAsyncScope();
        await scope.ServiceProvider.GetRequiredService<AccountStore>()
            .PutAsync(Name, new("Ada Lovelace", "ada@example.com", Customer, Password, Disabled: false), cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
