using BackendSystems.Faults;
using BackendSystems.Webhooks;

namespace BackendSystems.Pim;

public static class PimEndpoints
{
    public static void MapPim(this IEndpointRouteBuilder routes)
    {
        ArgumentNullException.ThrowIfNull(routes);
        routes.MapControllers();
        routes.MapFallback(PimSetup.Root + "/{**rest}", (HttpContext context) => PimSetup.WriteErrorAsync(
            context, StatusCodes.Status404NotFound, "NotFound", "The service has Products and Categories: see $metadata."));
        routes.MapSimulation("/pim/simulate/prices", routes.ServiceProvider.GetRequiredService<PimStore>().ChangePricesAsync);
        routes.MapWebhooks(PimSetup.Name);
        routes.MapFaults(PimSetup.Name);
    }
}
