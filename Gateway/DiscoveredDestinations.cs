using Microsoft.Extensions.Primitives;
using Microsoft.Extensions.ServiceDiscovery;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.ServiceDiscovery;

namespace Gateway;

/// <summary>Destinations whose host is a service-discovery name: one of YARP's destinations for every endpoint behind it, renewed when they change.</summary>
internal sealed class DiscoveredDestinations(ServiceEndpointResolver resolver) : IDestinationResolver
{
    public async ValueTask<ResolvedDestinationCollection> ResolveDestinationsAsync(
        IReadOnlyDictionary<string, DestinationConfig> destinations, CancellationToken cancellationToken)
    {
        var resolved = new Dictionary<string, DestinationConfig>();
        var changes = new List<IChangeToken>();
        foreach (var (name, destination) in destinations)
        {
            var address = new Uri(destination.Address);
            var source = await resolver.GetEndpointsAsync($"{address.Scheme}://{address.Authority}", cancellationToken);
            changes.Add(source.ChangeToken);
            foreach (var endpoint in source.Endpoints)
            {
                var found = endpoint.EndPoint is UriEndPoint uri ? uri.Uri : new Uri($"{address.Scheme}://{endpoint}");
                resolved[$"{name}[{found.Authority}]"] = destination with { Address = new Uri(found, address.PathAndQuery).ToString() };
            }
        }
        return new(resolved, new CompositeChangeToken(changes));
    }
}
