using MobileIntegration.Contracts;

namespace FrontendServices.Sections;

/// <summary>How a section is told, for the API's document: screens write theirs as they come, without making one of these.</summary>
/// <param name="Age">Seconds; there when stale.</param>
/// <param name="Data">There when fresh or stale; only the fields that were asked for.</param>
/// <param name="Problem">There when failed, and when stale why nothing newer is there.</param>
internal sealed record Section<T>(SectionStatus Status, long? Age, T? Data, Problem? Problem);

internal static class SectionDescriptions
{
    /// <summary>The answer is a screen of that shape, or a 304.</summary>
    public static RouteHandlerBuilder DescribeScreen<TScreen>(this RouteHandlerBuilder endpoint) => endpoint
        .Produces<TScreen>().Produces(StatusCodes.Status304NotModified).ProducesValidationProblem().ProducesProblem(StatusCodes.Status404NotFound);
}
