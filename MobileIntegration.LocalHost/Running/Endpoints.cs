using System.Net.Sockets;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// The addresses of all resources: a public port for every endpoint, that stays while the AppHost runs, and for a project or executable a
/// proxy on it that knows the ports of the running instances. Servers that run once listen on their public port themselves.
/// </summary>
internal sealed class Endpoints(Ports ports, ResourceLoggerService loggers) : IAsyncDisposable
{
    private readonly Dictionary<EndpointAnnotation, TcpProxy> _proxies = [];

    /// <exception cref="DistributedApplicationException">A fixed port is taken.</exception>
    public void Allocate(IResource resource)
    {
        foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
        {
            var port = ports.Public(resource.Name, endpoint.Name, endpoint.Port);
            if (IsProxied(resource, endpoint))
            {
                _proxies[endpoint] = new TcpProxy(port, loggers.GetLogger(resource));
            }

            endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, "localhost", port);
        }
    }

    /// <summary>The ports that one instance listens on, by endpoint name.</summary>
    public Dictionary<string, int> TargetPorts(IResource resource) =>
        resource.Annotations.OfType<EndpointAnnotation>().ToDictionary(
            endpoint => endpoint.Name,
            endpoint => _proxies.ContainsKey(endpoint) ? endpoint.TargetPort ?? ports.Target() : endpoint.AllocatedEndpoint!.Port);

    /// <summary>Connections may be passed to the instance that listens on these ports.</summary>
    public void Open(IResource resource, IReadOnlyDictionary<string, int> targets) =>
        Each(resource, (proxy, endpoint) => proxy.AddTarget(targets[endpoint.Name]));

    /// <summary>No new connection is passed to the instance, which ends.</summary>
    public void Close(IResource resource, IReadOnlyDictionary<string, int> targets) =>
        Each(resource, (proxy, endpoint) => proxy.RemoveTarget(targets[endpoint.Name]));

    /// <summary>The instance has ended, and its ports may be given to another.</summary>
    public void Release(IResource resource, IReadOnlyDictionary<string, int> targets) =>
        Each(resource, (_, endpoint) =>
        {
            if (endpoint.TargetPort is null)
            {
                ports.Release(targets[endpoint.Name]);
            }
        });

    public async ValueTask DisposeAsync()
    {
        foreach (var proxy in _proxies.Values)
        {
            await proxy.DisposeAsync();
        }
    }

    private static bool IsProxied(IResource resource, EndpointAnnotation endpoint) =>
        resource is ProjectResource or ExecutableResource && endpoint is { IsProxied: true, Protocol: ProtocolType.Tcp };

    private void Each(IResource resource, Action<TcpProxy, EndpointAnnotation> act)
    {
        foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
        {
            if (_proxies.TryGetValue(endpoint, out var proxy))
            {
                act(proxy, endpoint);
            }
        }
    }
}
