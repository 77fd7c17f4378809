using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using MobileServices.Identity.Accounts;
using MobileServices.Identity.Clients;
using MobileServices.Identity.Keys;
using MobileServices.Identity.Pages;
using MobileServices.Identity.Tokens;
using Npgsql;
using OpenIddict.Server;
using static OpenIddict.Server.OpenIddictServerEvents;

namespace MobileServices.Identity;

public static class IdentitySetup
{
    private const string Root = "identity/";

    public static void AddIdentity(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        if (ExternalAuthority(builder.Configuration) is not null)
        {
            return;
        }
        var services = builder.Services;
        services.AddOptions<IdentityOptions>().BindConfiguration("Identity").ValidateDataAnnotations().ValidateOnStart();
        // OpenIddict writes every request into the log, which a log is not for.
        builder.Logging.AddFilter("OpenIddict", LogLevel.Warning);
        builder.Logging.AddFilter("Microsoft.EntityFrameworkCore.Database.Command", LogLevel.Warning);
        builder.AddNpgsqlDataSource("mobiledb");
        builder.AddMigrations<IdentityContext>("mobiledb", "identity");
        services.TryAddSingleton(TimeProvider.System);
        services.AddDbContext<IdentityContext>((provider, context) => context.UseNpgsql(provider.GetRequiredService<NpgsqlDataSource>()));

        services.AddScoped<AccountStore>();
        services.AddScoped<AccountTokens>();
        services.AddScoped<Session>();
        services.AddSingleton<IPasswordHasher<Account>, PasswordHasher<Account>>();
        services.Configure<PasswordHasherOptions>(options => options.IterationCount = 210_000);
        services.AddSingleton<IStartupFilter, IdentityRequests>();
        // Before anything is changed: a start without the secret of the keys ends here.
        services.AddHostedService(provider => provider.GetRequiredService<SigningKeys>());
        services.AddHostedService<ClientRegistration>();
        if (builder.Environment.IsDevelopment())
        {
            services.AddHostedService<DevelopmentAccount>();
        }
        services.AddHttpClient<DevicesClient>(http => http.BaseAddress = new("http://devices")).WithoutRetries();
        services.AddSingleton<BlockedDevices>();
        services.AddHostedService(provider => provider.GetRequiredService<BlockedDevices>());
        services.AddSingleton<DeviceLogins>();
        builder.DescribeAlso(typeof(IdentitySetup).Assembly, "protocol.json");
        builder.AddRedisNews();
        if (builder.Configuration.GetConnectionString("redis") is { Length: > 0 })
        {
            services.AddHostedService<RevocationTeller>();
        }
        services.AddSingleton<IdentityWorker>();
        services.AddHostedService(provider => provider.GetRequiredService<IdentityWorker>());
        builder.AddKeySeal();
        AddCookies(services);
        AddServer(services);
    }

    /// <returns>The provider that is used instead of this slice, if any.</returns>
    internal static string? ExternalAuthority(IConfiguration configuration) =>
        configuration["Authentication:Authority"] is { Length: > 0 } authority && authority != configuration["Identity:Issuer"] ? authority : null;

    private static void AddCookies(IServiceCollection services)
    {
        services.AddDataProtection().SetApplicationName("mobile-identity");
        services.AddOptions<KeyManagementOptions>()
            .Configure<NpgsqlDataSource>((options, database) => options.XmlRepository = new CookieKeys(database));
        services.AddAuthentication().AddCookie(Session.Scheme);
        services.AddOptions<Microsoft.AspNetCore.Authentication.Cookies.CookieAuthenticationOptions>(Session.Scheme)
            .Configure<IOptions<IdentityOptions>>((options, identity) =>
            {
                Suit(options.Cookie, "identity-session");
                options.ExpireTimeSpan = TimeSpan.FromHours(identity.Value.SessionHours);
                options.SlidingExpiration = false;
            });
        services.AddAntiforgery(options =>
        {
            Suit(options.Cookie, "identity-form");
            // Our pages have a stricter header than the one that it would set.
            options.SuppressXFrameOptionsHeader = true;
        });
    }

    private static void Suit(CookieBuilder cookie, string name)
    {
        cookie.Name = name;
        cookie.Path = IdentityOptions.Path;
        cookie.HttpOnly = true;
        cookie.SameSite = SameSiteMode.Lax;
        cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
    }

    private static void AddServer(IServiceCollection services)
    {
        services.AddSingleton<SigningKeys>();
        services.AddSingleton<IOptionsChangeTokenSource<OpenIddictServerOptions>>(provider => provider.GetRequiredService<SigningKeys>());
        services.AddOpenIddict()
            .AddCore(core => core.UseEntityFrameworkCore().UseDbContext<IdentityContext>().ReplaceDefaultEntities<Guid>())
            .AddServer(server =>
            {
                server.SetConfigurationEndpointUris(Root + ".well-known/openid-configuration")
                    .SetJsonWebKeySetEndpointUris(Root + ".well-known/jwks")
                    .SetAuthorizationEndpointUris(Root + "connect/authorize")
                    .SetTokenEndpointUris(Root + "connect/token")
                    .SetUserInfoEndpointUris(Root + "connect/userinfo")
                    .SetRevocationEndpointUris(Root + "connect/revoke")
                    .SetIntrospectionEndpointUris(Root + "connect/introspect")
                    .SetDeviceAuthorizationEndpointUris(Root + "connect/device")
                    .SetEndUserVerificationEndpointUris(Root + "device");
                server.AllowAuthorizationCodeFlow().RequireProofKeyForCodeExchange()
                    .AllowRefreshTokenFlow()
                    .AllowClientCredentialsFlow()
                    .AllowDeviceAuthorizationFlow();
                server.DisableAccessTokenEncryption().UseReferenceRefreshTokens();
                server.UseAspNetCore()
                    .DisableTransportSecurityRequirement() // IdentityOptions.Issuer says what the public address may be
                    .EnableAuthorizationEndpointPassthrough()
                    .EnableTokenEndpointPassthrough()
                    .EnableUserInfoEndpointPassthrough()
                    .EnableEndUserVerificationEndpointPassthrough()
                    .EnableErrorPassthrough();
                server.AddEventHandler<ProcessAuthenticationContext>(handler => handler
                    .UseScopedHandler<RefreshTurns>().SetOrder(OpenIddictServerHandlers.ValidateRefreshToken.Descriptor.Order - 500));
                server.AddEventHandler<ApplyTokenResponseContext>(handler => handler
                    .UseScopedHandler<RefreshTurns>().SetOrder(0));
                server.AddEventHandler<HandleRevocationRequestContext>(handler => handler
                    .UseScopedHandler<Revocation>().SetOrder(int.MaxValue - 1000));
            })
            .AddValidation(validation =>
            {
                validation.UseLocalServer();
                validation.UseAspNetCore();
                validation.AddAudiences(IdentityOptions.Audience);
                validation.EnableTokenEntryValidation();
            });
        services.AddSingleton<IConfigureOptions<OpenIddictServerOptions>, ServerConfiguration>();
    }
}
