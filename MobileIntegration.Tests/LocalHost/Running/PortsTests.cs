using Microsoft.Extensions.Configuration;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.Tests.LocalHost.Running;

public sealed class PortsTests
{
    [Fact]
    public void A_fixed_port_of_a_resource_is_that_of_its_first_endpoint()
    {
        var free = Ports().Target();
        var ports = Ports(("Ports:gateway", $"{free}"));
        Assert.Equal(free, ports.Public("gateway", "http", wanted: null));
        Assert.NotEqual(free, ports.Public("gateway", "management", wanted: null));
    }

    [Fact]
    public void Two_endpoints_with_the_same_fixed_port_are_told_of_each_other()
    {
        var free = Ports().Target();
        var ports = Ports(("Ports:gateway", $"{free}"), ("Ports:shop:http", $"{free}"));
        ports.Public("gateway", "http", wanted: null);
        var error = Assert.Throws<DistributedApplicationException>(() => ports.Public("shop", "http", wanted: null));
        Assert.Equal(
            $"Port {free} is wanted by 'shop' (endpoint 'http') and by 'gateway' (endpoint 'http'). Choose another port for one with Ports__shop__http=PORT.", error.Message);
    }

    private static Ports Ports(params (string Key, string Value)[] settings) => new(
        new ConfigurationBuilder().AddInMemoryCollection(settings.ToDictionary(one => one.Key, one => (string?)one.Value)).Build(),
        file: Path.Combine(Path.GetTempPath(), $"ports-{Guid.NewGuid():n}.json"), random: false);
}
