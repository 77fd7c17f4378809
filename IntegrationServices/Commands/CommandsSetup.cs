using Microsoft.Extensions.DependencyInjection.Extensions;
using MobileIntegration.ServiceDefaults;
using MobileIntegration.ServiceDefaults.Events;

namespace IntegrationServices.Commands;

public static class CommandsSetup
{
    internal const string Database = "integrationdb";

    /// <summary>The operators' routes.</summary>
    public static void AddCommands(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.AddCommandStore();
        builder.Services.AddSingleton<CommandOperations>();
    }

    /// <summary>A kind of command, which the worker of this process works on.</summary>
    internal static void AddCommand<TSaga>(this IHostApplicationBuilder builder, Func<TSaga, CommandKind> kind) where TSaga : class
    {
        builder.AddCommandStore();
        builder.Services.TryAddSingleton<TSaga>();
        builder.Services.AddSingleton(services => kind(services.GetRequiredService<TSaga>()));
        builder.Services.TryAddSingleton<CommandSaga>();
        if (builder.Properties.TryAdd(nameof(CommandWorker), true))
        {
            builder.Services.AddHostedService<CommandWorker>();
        }
    }

    /// <summary>The database of this group, with its outbox.</summary>
    internal static void AddIntegrationDatabase(this IHostApplicationBuilder builder)
    {
        if (builder.Properties.TryAdd(Database, true))
        {
            builder.AddNpgsqlDataSource(Database);
            builder.AddEvents(Database);
        }
    }

    private static void AddCommandStore(this IHostApplicationBuilder builder)
    {
        if (!builder.Properties.TryAdd(nameof(CommandStore), true))
        {
            return;
        }
        builder.AddIntegrationDatabase();
        builder.AddMigrations<CommandStore>(Database, "commands");
        builder.Services.AddOptions<CommandsOptions>().BindConfiguration("Commands").ValidateDataAnnotations().ValidateOnStart();
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<CommandStore>();
    }
}
