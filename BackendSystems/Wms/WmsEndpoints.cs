using BackendSystems.Faults;
using BackendSystems.Webhooks;
using Microsoft.AspNetCore.Http.HttpResults;

namespace BackendSystems.Wms;

public static class WmsEndpoints
{
    public static void MapWms(this IEndpointRouteBuilder routes)
    {
        ArgumentNullException.ThrowIfNull(routes);
        routes.MapSimulation("/wms/simulate/movements", routes.ServiceProvider.GetRequiredService<WmsStore>().MoveAsync);
        routes.MapWebhooks(WmsSetup.Name);
        var faults = routes.MapGroup("/wms/faults");
        faults.MapGet("/", GetFaultsAsync);
        faults.MapPut("/", SetFaultsAsync);
        faults.MapDelete("/", ResetFaultsAsync);
    }

    private static async Task<Ok<FaultSettings>> GetFaultsAsync(WmsStore store, CancellationToken ct) => TypedResults.Ok(await store.FaultsAsync(ct));

    private static async Task<Results<Ok<FaultSettings>, ValidationProblem>> SetFaultsAsync(FaultSettings settings, WmsStore store, CancellationToken ct)
    {
        var errors = settings.Validate();
        if (settings.ErrorStatus != FaultSettings.Off.ErrorStatus)
        {
            errors["errorStatus"] = ["errorStatus has no meaning for a system that is reached by SQL. Leave it out."];
        }

        if (settings.DripBytesPerSecond != FaultSettings.Off.DripBytesPerSecond)
        {
            errors["dripBytesPerSecond"] = ["dripBytesPerSecond has no meaning for a system that is reached by SQL. Leave it out."];
        }

        if (settings.Seed != FaultSettings.Off.Seed)
        {
            errors["seed"] = ["seed has no meaning here: the database throws the dice. Leave it out."];
        }

        if (errors.Count > 0)
        {
            return TypedResults.ValidationProblem(errors, "The faults were not changed: see errors.");
        }

        await store.SetFaultsAsync(settings, ct);
        return TypedResults.Ok(settings);
    }

    private static async Task<NoContent> ResetFaultsAsync(WmsStore store, CancellationToken ct)
    {
        await store.SetFaultsAsync(FaultSettings.Off, ct);
        return TypedResults.NoContent();
    }
}
