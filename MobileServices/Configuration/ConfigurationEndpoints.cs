using MobileIntegration.ServiceDefaults;
using MobileServices.Configuration.Admin;

namespace MobileServices.Configuration;

public static class ConfigurationEndpoints
{
    public static void MapConfiguration(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        endpoints.MapGroup("").WithTags("Remote configuration").MapOfrep();
        endpoints.MapGroup("/configuration/admin").WithTags("Remote configuration: administration").RequireScope(Scopes.ConfigurationAdmin).MapFlags();
    }
}
