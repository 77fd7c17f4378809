using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Redis;

/// <summary>Redis Commander, which LocalHost shows as not available.</summary>
public class RedisCommanderResource(string name) : ContainerResource(name);

/// <summary>Redis Insight, which LocalHost shows as not available.</summary>
public class RedisInsightResource : ContainerResource
{
    public RedisInsightResource(string name)
        : base(name) => PrimaryEndpoint = new(this, "http");

    public EndpointReference PrimaryEndpoint { get; }
}
