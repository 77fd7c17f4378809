using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Postgres;

/// <summary>pgAdmin, which LocalHost shows as not available.</summary>
public sealed class PgAdminContainerResource(string name) : ContainerResource(name);

/// <summary>pgweb, which LocalHost shows as not available.</summary>
public sealed class PgWebContainerResource : ContainerResource
{
    public PgWebContainerResource(string name)
        : base(name) => PrimaryEndpoint = new(this, "http");

    public EndpointReference PrimaryEndpoint { get; }
}
