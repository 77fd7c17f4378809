using Microsoft.AspNetCore.Http.HttpResults;

namespace BackendSystems.Faults;

internal static class FaultEndpoints
{
    /// <summary>Gives <paramref name="system"/> a fault switch before its business interface at <paramref name="path"/>.</summary>
    public static void AddFaults(this IHostApplicationBuilder builder, string system, string path, Func<HttpContext, int, Task> writeErrorAsync)
    {
        var fault = new FaultSwitch(path, writeErrorAsync);
        builder.Services.AddSingleton(fault);
        builder.Services.AddKeyedSingleton(system, fault);
    }

    /// <summary>Puts the switches of all chosen systems into the pipeline.</summary>
    public static void UseFaults(this WebApplication app)
    {
        foreach (var fault in app.Services.GetServices<FaultSwitch>())
        {
            app.UseWhen(
                context => context.Request.Path.StartsWithSegments(fault.Path),
                branch => branch.Use((HttpContext context, RequestDelegate next) => fault.InvokeAsync(context, next)));
        }
    }

    public static void MapFaults(this IEndpointRouteBuilder routes, string system)
    {
        var fault = routes.ServiceProvider.GetRequiredKeyedService<FaultSwitch>(system);
        var group = routes.MapGroup($"/{system}/faults");
        group.MapGet("/", () => TypedResults.Ok(fault.Settings));
        group.MapPut("/", Results<Ok<FaultSettings>, ValidationProblem> (FaultSettings settings) =>
        {
            var errors = settings.Validate();
            if (errors.Count > 0)
            {
                return TypedResults.ValidationProblem(errors, "The faults were not changed: see errors.");
            }

            fault.Set(settings);
            return TypedResults.Ok(settings);
        });
        group.MapDelete("/", () =>
        {
            fault.Set(FaultSettings.Off);
            return TypedResults.NoContent();
        });
    }
}
