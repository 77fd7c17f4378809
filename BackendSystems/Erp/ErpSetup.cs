using BackendSystems.Faults;
using BackendSystems.Seeding;
using BackendSystems.Webhooks;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MobileIntegration.ServiceDefaults;
using SoapCore;
using SoapCore.Extensibility;

namespace BackendSystems.Erp;

public static class ErpSetup
{
    internal const string Name = "erp";
    internal const string Path = "/erp/orders.svc";

    /// <summary>Registers the order system: SOAP 1.1 over its schema in the database <c>backenddb</c>.</summary>
    public static void AddErp(this IHostApplicationBuilder builder)
    {
        builder.AddDatabase(Databases.Backend);
        builder.AddMigrations<ErpStore>(Databases.Backend, Name);
        builder.AddWebhooks(Name, Databases.Backend, "order.created", "order.updated");
        builder.AddFaults(Name, Path, FailAsync);
        builder.Services.AddHttpContextAccessor();
        builder.Services.AddSoapCore();
        builder.Services.Replace(ServiceDescriptor.Singleton<IFaultExceptionTransformer, ErpFaults>());
        builder.Services.TryAddSingleton<Seeder>();
        builder.Services.AddSingleton<ErpStore>();
        builder.Services.AddSingleton(services =>
            new OrderService(services.GetRequiredService<ErpStore>(), services.GetRequiredService<IHttpContextAccessor>()));
        builder.Services.AddHostedService<ErpSeed>();
    }

    /// <summary>500 is the Erp's own failure; any other status looks like the proxy before it.</summary>
    private static Task FailAsync(HttpContext context, int status)
    {
        if (status == StatusCodes.Status500InternalServerError)
        {
            return ErpEnvelope.WriteFaultAsync(context, status, "Server", "The Erp fails because it was told to (PUT /erp/faults).");
        }

        context.Response.ContentType = "text/html";
        return context.Response.WriteAsync(
            $"<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>erp-proxy</body></html>", context.RequestAborted);
    }
}
