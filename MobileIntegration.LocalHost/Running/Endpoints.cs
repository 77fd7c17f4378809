using System.Net.Sockets;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// The addresses of all resources: a public port for every endpoint, that stays while the AppHost runs, and for a project or executable a
/// proxy on it that knows the ports of the running instances. Servers that run once listen on their public port themselves.
/// </summary>
internal sealed class Endpoints(Ports ports, ResourceLoggerService loggers) : IAsyncDisposable
{
    private static readonly AsyncLocal<(IResource Resource, IReadOnlyDictionary<string, int> Ports)> Watched = new();
    private readonly Dictionary<EndpointAnnotation, TcpProxy> _proxies = [];

    /// <summary>
    /// From here on, in this flow of control, the endpoints of the resource are those of one instance: behind the public address another instance
    /// would answer for one that has not started yet.
    /// </summary>
    public static void Watch(IResource resource, IReadOnlyDictionary<string, int> targets) => Watched.Value = (resource, targets);

    /// <summary>The address of the endpoint: of the watched instance, if this flow of control watches one, or else the public one.</summary>
    public static async ValueTask<Uri> AddressAsync(EndpointReference endpoint, CancellationToken ct)
    {
        var address = new Uri((await endpoint.GetValueAsync(ct).ConfigureAwait(false))!);
        return Watched.Value is { Ports: { } targets } watched && watched.Resource == endpoint.Resource
            ? new UriBuilder(address) { Port = targets[endpoint.EndpointName] }.Uri
            : address;
    }

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

    /// <summary>An instance is to run from now on: connections wait for it.</summary>
    public void BeginLife(IResource resource) => Each(resource, (proxy, _) => proxy.BeginLife());

    /// <summary>An instance does not start again by itself: without another, connections are closed at once.</summary>
    public void EndLife(IResource resource) => Each(resource, (proxy, _) => proxy.EndLife());

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
