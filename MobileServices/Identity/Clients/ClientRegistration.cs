using System.Text.Json;
using Dapper;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using MobileServices.Identity.Accounts;
using Npgsql;
using OpenIddict.Abstractions;
using static OpenIddict.Abstractions.OpenIddictConstants;
using Scopes = MobileIntegration.ServiceDefaults.Scopes;

namespace MobileServices.Identity.Clients;

/// <summary>Makes the registered clients those of the settings, before the first request.</summary>
internal sealed class ClientRegistration(
    IServiceProvider services, NpgsqlDataSource data, IPasswordHasher<Account> hasher, IOptions<IdentityOptions> options, IHostEnvironment environment)
    : IHostedService
{
    /// <summary>The client of the development environment: an app at any loopback port, or one with the example's private scheme.</summary>
    public const string DevelopmentClient = "development-app";

    /// <summary>The client of the development environment for what has no user: scripts, tests, the back office.</summary>
    public const string DevelopmentBackOffice = "development-back-office";

    /// <summary>The client of the gateway's page about the API, at the gateway itself.</summary>
    public const string DevelopmentDocs = "development-docs";

    private static readonly Account Nobody = new(Guid.Empty, "", "", null, null, Guid.Empty);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var clients = new Dictionary<string, ClientOptions>(options.Value.Clients);
        if (environment.IsDevelopment())
        {
            clients.TryAdd(DevelopmentClient, Development());
            clients.TryAdd(DevelopmentDocs, Docs());
            clients.TryAdd(DevelopmentBackOffice, new()
            {
                Secret = "development-only-not-a-secret",
                Scopes =
                {
                    Scopes.Home, Scopes.Catalog, Scopes.Orders, Scopes.Account, Scopes.Devices, Scopes.Sync, Scopes.SyncAdmin, Scopes.DevicesAdmin, Scopes.ConfigurationAdmin, Scopes.Push, Scopes.PushSend, Scopes.Analytics, Scopes.AnalyticsAdmin, Scopes.GatewayAdmin, Scopes.IntegrationAdmin, Scopes.Customers,
                },
            });
        }

        // Settings change rarely, and to load the whole object mapper for nothing is half of a start.
        var settings = JsonSerializer.Serialize(new { clients, Build = typeof(ClientRegistration).Module.ModuleVersionId });
        if (await AreRegisteredAsync(settings, cancellationToken))
        {
            return;
        }
        await using var scope = services.CreateAsyncScope();
        var database = scope.ServiceProvider.GetRequiredService<IdentityContext>();
        var applications = scope.ServiceProvider.GetRequiredService<IOpenIddictApplicationManager>();
        await using var transaction = await database.Database.BeginTransactionAsync(cancellationToken);
        await database.Connection.ExecuteAsync("lock table identity.application in share row exclusive mode");
        foreach (var (id, client) in clients)
        {
            var descriptor = Describe(id, client);
            if (await applications.FindByClientIdAsync(id, cancellationToken) is not { } registered)
            {
                await applications.CreateAsync(descriptor, cancellationToken);
                continue;
            }
            await applications.UpdateAsync(registered, descriptor, cancellationToken);
        }
        await database.Connection.ExecuteAsync(EndOthersSql, new { clients = clients.Keys.ToArray() });
        await database.Connection.ExecuteAsync(KeepSql, new { hash = hasher.HashPassword(Nobody, settings) });
        await transaction.CommitAsync(cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task<bool> AreRegisteredAsync(string settings, CancellationToken ct)
    {
        await using var connection = await data.OpenConnectionAsync(ct);
        var registered = await connection.ExecuteScalarAsync<string>(new CommandDefinition(
            "select hash from identity.registered_clients", cancellationToken: ct));
        return registered is not null && hasher.VerifyHashedPassword(Nobody, registered, settings) is not PasswordVerificationResult.Failed;
    }

    private static ClientOptions Development() => new()
    {
        Name = "Development app",
        RedirectUris = { "http://127.0.0.1/callback", "http://[::1]/callback", "com.example.shop:/callback" },
        Scopes = { "profile", "email", Scopes.Home, Scopes.Catalog, Scopes.Orders, Scopes.Account, Scopes.Devices, Scopes.Push, Scopes.Sync },
        Device = true,
    };

    private ClientOptions Docs() => new()
    {
        Name = "Documentation of the API",
        RedirectUris = { new Uri(new Uri(options.Value.Issuer!), "/docs/").AbsoluteUri },
        Scopes =
        {
            "profile", "email", Scopes.Home, Scopes.Catalog, Scopes.Orders, Scopes.Account, Scopes.Devices, Scopes.Sync, Scopes.SyncAdmin, Scopes.DevicesAdmin, Scopes.ConfigurationAdmin, Scopes.Push, Scopes.PushSend, Scopes.Analytics, Scopes.AnalyticsAdmin, Scopes.GatewayAdmin, Scopes.IntegrationAdmin,
        },
    };

    private static OpenIddictApplicationDescriptor Describe(string id, ClientOptions client)
    {
        var descriptor = new OpenIddictApplicationDescriptor
        {
            ClientId = id,
            ClientSecret = client.Secret,
            ClientType = client.IsPublic ? ClientTypes.Public : ClientTypes.Confidential,
            ApplicationType = client.IsPublic ? ApplicationTypes.Native : ApplicationTypes.Web,
            ConsentType = client.Trusted ? ConsentTypes.Implicit : ConsentTypes.Explicit,
            DisplayName = client.Name ?? id,
            Requirements = { Requirements.Features.ProofKeyForCodeExchange },
        };
        descriptor.Permissions.UnionWith([Permissions.Endpoints.Token, Permissions.Endpoints.Revocation]);
        descriptor.Permissions.UnionWith(client.Scopes.Select(scope => Permissions.Prefixes.Scope + scope));
        descriptor.RedirectUris.UnionWith(client.RedirectUris.Select(address => new Uri(address)));
        if (client.RedirectUris.Count > 0)
        {
            descriptor.Permissions.UnionWith(
                [Permissions.Endpoints.Authorization, Permissions.GrantTypes.AuthorizationCode, Permissions.ResponseTypes.Code]);
        }
        if (client.Device)
        {
            descriptor.Permissions.UnionWith([Permissions.Endpoints.DeviceAuthorization, Permissions.GrantTypes.DeviceCode]);
        }
        if (client.RedirectUris.Count > 0 || client.Device)
        {
            descriptor.Permissions.Add(Permissions.GrantTypes.RefreshToken);
        }
        if (!client.IsPublic)
        {
            descriptor.Permissions.UnionWith([Permissions.Endpoints.Introspection, Permissions.GrantTypes.ClientCredentials]);
        }
        return descriptor;
    }

    private const string KeepSql = "insert into identity.registered_clients (hash) values (@hash) on conflict (single) do update set hash = excluded.hash";

    private const string EndOthersSql =
        """
        create temporary table gone on commit drop as select id from identity.application where client_id <> all (@clients);
        update identity.authorization set status = 'revoked' where application_id in (select id from gone);
        update identity.token set status = 'revoked' where application_id in (select id from gone) and status = 'valid';
        delete from identity.token where application_id in (select id from gone);
        delete from identity.authorization where application_id in (select id from gone);
        delete from identity.application where id in (select id from gone);
        """;
}
