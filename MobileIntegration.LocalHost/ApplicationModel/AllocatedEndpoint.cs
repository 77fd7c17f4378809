using System.Collections;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;

namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>How an allocated endpoint is bound.</summary>
public enum EndpointBindingMode
{
    SingleAddress = 0,
    DualStackAnyAddresses = 1,
    IPv4AnyAddresses = 2,
    IPv6AnyAddresses = 3,
}

/// <summary>The address at which an endpoint is reached.</summary>
[DebuggerDisplay("{UriString}")]
public class AllocatedEndpoint
{
    public AllocatedEndpoint(EndpointAnnotation endpoint, string address, int port, EndpointBindingMode bindingMode, string? targetPortExpression = null, NetworkIdentifier? networkId = null)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        ArgumentException.ThrowIfNullOrEmpty(address);
        ArgumentOutOfRangeException.ThrowIfLessThan(port, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, 65535);
        Endpoint = endpoint;
        Address = address;
        Port = port;
        BindingMode = bindingMode;
        TargetPortExpression = targetPortExpression;
        NetworkID = networkId ?? endpoint.DefaultNetworkID;
    }

    public AllocatedEndpoint(EndpointAnnotation endpoint, string address, int port, EndpointBindingMode bindingMode, string? targetPortExpression = null)
        : this(endpoint, address, port, bindingMode, targetPortExpression, null)
    {
    }

    public AllocatedEndpoint(EndpointAnnotation endpoint, string address, int port, string? targetPortExpression = null)
        : this(endpoint, address, port, EndpointBindingMode.SingleAddress, targetPortExpression, null)
    {
    }

    public EndpointAnnotation Endpoint { get; }

    public string Address { get; }

    public EndpointBindingMode BindingMode { get; }

    public int Port { get; }

    public string UriScheme => Endpoint.UriScheme;

    /// <summary>address:port</summary>
    public string EndPointString => $"{Address}:{Port}";

    /// <summary>scheme://address:port</summary>
    public string UriString => $"{UriScheme}://{EndPointString}";

    public string? TargetPortExpression { get; }

    public NetworkIdentifier NetworkID { get; }

    public override string ToString() => UriString;
}

/// <summary>The address of an endpoint on one network, once there is one.</summary>
public record NetworkEndpointSnapshot(ValueSnapshot<AllocatedEndpoint> Snapshot, NetworkIdentifier NetworkID);

/// <summary>The addresses of an endpoint, one a network.</summary>
[SuppressMessage("Naming", "CA1710", Justification = "Aspire's name.")]
public class NetworkEndpointSnapshotList : IEnumerable<NetworkEndpointSnapshot>
{
    private readonly List<NetworkEndpointSnapshot> _snapshots = [];
    private readonly Lock _lock = new();

    public void AddOrUpdateAllocatedEndpoint(NetworkIdentifier networkId, AllocatedEndpoint endpoint) => GetOrAdd(networkId).SetValue(endpoint);

    /// <summary>Waits for the address of the endpoint on a network.</summary>
    public Task<AllocatedEndpoint> GetAllocatedEndpointAsync(NetworkIdentifier networkId, CancellationToken cancellationToken = default) =>
        GetOrAdd(networkId).GetValueAsync(cancellationToken);

    public IEnumerator<NetworkEndpointSnapshot> GetEnumerator()
    {
        lock (_lock)
        {
            return _snapshots.ToList().GetEnumerator();
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal ValueSnapshot<AllocatedEndpoint>? Find(NetworkIdentifier network)
    {
        lock (_lock)
        {
            return _snapshots.Find(snapshot => snapshot.NetworkID == network)?.Snapshot;
        }
    }

    private ValueSnapshot<AllocatedEndpoint> GetOrAdd(NetworkIdentifier network)
    {
        lock (_lock)
        {
            if (Find(network) is { } existing)
            {
                return existing;
            }

            var added = new NetworkEndpointSnapshot(new(), network);
            _snapshots.Add(added);
            return added.Snapshot;
        }
    }
}

/// <summary>Host names with a meaning.</summary>
public static class KnownHostNames
{
    public const string Localhost = "localhost";
}
