using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost;

/// <summary>Its endpoints are found by its name.</summary>
public interface IResourceWithServiceDiscovery : IResourceWithEndpoints;
