using MobileIntegration.ServiceDefaults;
using MobileServices.Analytics.Administration;
using MobileServices.Analytics.Ingest;
using MobileServices.Analytics.Otlp;
using MobileServices.Analytics.Queries;

namespace MobileServices.Analytics;

public static class AnalyticsEndpoints
{
    public static void MapAnalytics(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        endpoints.MapGroup("/v1").WithTags("Analytics: tracking").MapTracking();
        endpoints.MapGroup("/v1").WithTags("Analytics: tracking").MapOtlp();
        endpoints.MapGroup("/analytics/admin").WithTags("Analytics: administration").RequireScope(Scopes.AnalyticsAdmin).MapApps();
        endpoints.MapGroup("/analytics/admin").WithTags("Analytics: administration").RequireScope(Scopes.AnalyticsAdmin).MapPeople();
        endpoints.MapGroup("/analytics/admin").WithTags("Analytics: administration").RequireScope(Scopes.AnalyticsAdmin).MapFunnels();
        endpoints.MapGroup("/analytics/apps/{app}").WithTags("Analytics").RequireScope(Scopes.Analytics).MapQueries();
        endpoints.MapGroup("/analytics").WithTags("Analytics").RequireScope(Scopes.Analytics).MapJourney();
    }
}
