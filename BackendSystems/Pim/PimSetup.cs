using BackendSystems.Faults;
using BackendSystems.Seeding;
using BackendSystems.Webhooks;
using Microsoft.AspNetCore.OData;
using Microsoft.AspNetCore.OData.Query.Expressions;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MobileIntegration.ServiceDefaults;
using Npgsql;

namespace BackendSystems.Pim;

public static class PimSetup
{
    internal const string Name = "pim";
    internal const string Root = "pim/odata";

    /// <summary>Registers the product information system: OData v4 over its schema in the database <c>backenddb</c>.</summary>
    public static void AddPim(this IHostApplicationBuilder builder)
    {
        builder.AddDatabase(Databases.Backend);
        builder.AddMigrations<PimStore>(Databases.Backend, Name);
        builder.AddWebhooks(Name, Databases.Backend, "product.price_changed");
        builder.AddFaults(Name, $"/{Root}", (context, status) =>
            WriteErrorAsync(context, status, "Fault", "The Pim fails because it was told to (PUT /pim/faults)."));
        builder.Services.AddDbContextPool<PimContext>((services, options) => options
            .UseNpgsql(services.GetRequiredKeyedService<NpgsqlDataSource>(Databases.Backend))
            .UseQueryTrackingBehavior(QueryTrackingBehavior.NoTracking));
        builder.Services.AddControllers().AddOData(options =>
        {
            options.EnableQueryFeatures(1_000);
            options.TimeZone = TimeZoneInfo.Utc;
            options.AddRouteComponents(Root, PimModel.Build(), services => services.AddSingleton<ISearchBinder, PimSearch>());
        });
        builder.Services.TryAddSingleton<Seeder>();
        builder.Services.AddSingleton<PimStore>();
        builder.Services.AddHostedService<PimSeed>();
    }

    internal static Task WriteErrorAsync(HttpContext context, int status, string code, string message)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(new { error = new { code, message } }, context.RequestAborted);
    }
}
