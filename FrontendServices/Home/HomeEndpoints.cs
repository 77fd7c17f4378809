using FrontendServices.Sections;

namespace FrontendServices.Home;

public static class HomeEndpoints
{
    public static void MapHome(this IEndpointRouteBuilder app) => app
        .MapGet("/api/home", GetAsync)
        .WithTags("Home")
        .WithSummary("The profile, recent orders, and suggested products with stock nearby, of the token's customer")
        .WithDescription("Sections that are not there say why; sections=profile,orders and fields=orders.id,orders.total ask for less; Prefer: wait=2 waits longer than the usual 800 ms.")
        .DescribeScreen<HomeScreen>().ProducesProblem(StatusCodes.Status403Forbidden);

    private static async Task<IResult> GetAsync(string? customer, HttpContext http, HomeComposer composer, Screens screens)
    {
        if (!http.TryGetCustomer(customer, out var asked, out var refusal) || !screens.TryBegin(http, HomeComposer.Sections, out var screen, out refusal))
        {
            return refusal;
        }
        using (screen)
        {
            return await composer.ComposeAsync(asked, screen);
        }
    }
}
