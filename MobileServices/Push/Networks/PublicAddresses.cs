using System.Net;
using System.Net.Sockets;

namespace MobileServices.Push.Networks;

/// <summary>Which addresses are those of the internet (the IANA registries of special-purpose addresses), and not of a machine, a site or a cloud's inside.</summary>
internal static class PublicAddresses
{
    private static readonly IPNetwork[] Special =
    [
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
        }.Select(text => IPNetwork.Parse(text)),
    ];

    private static readonly IPNetwork GlobalUnicast = IPNetwork.Parse("2000::/3");

    private static readonly IPNetwork[] SpecialV6 =
    [
        // Also those that carry an IPv4 address in them: Teredo, 6to4.
        .. new[] { "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20" }.Select(text => IPNetwork.Parse(text)),
    ];

    private static readonly string[] Inside = ["localhost", "local", "internal", "localdomain", "home.arpa"];

    public static bool Contain(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
        {
            address = address.MapToIPv4();
        }
        return address.AddressFamily is AddressFamily.InterNetwork
            ? !Special.Any(network => network.Contains(address))
            : GlobalUnicast.Contains(address) && !SpecialV6.Any(network => network.Contains(address));
    }

    /// <returns>What is wrong with an address that a client names, as far as that can be seen without asking for its name; null when nothing.</returns>
    public static string? Check(string address, bool privateToo)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.UserInfo.Length > 0 || uri.Fragment.Length > 0)
        {
            return "Must be an absolute https address without a user or a fragment.";
        }
        if (privateToo)
        {
            return uri.Scheme is "https" or "http" ? null : "Must be an https address.";
        }
        if (uri.Scheme is not "https")
        {
            return "Must be an https address.";
        }
        var host = uri.IdnHost.Trim('[', ']');
        var isPublic = IPAddress.TryParse(host, out var literal)
            ? Contain(literal)
            : host.Contains('.', StringComparison.Ordinal) && !Inside.Any(end => host.TrimEnd('.').EndsWith($".{end}", StringComparison.OrdinalIgnoreCase));
        return isPublic ? null : "Leads to an address that is not public. Send one that is, such as the endpoint that a push service gave.";
    }
}
