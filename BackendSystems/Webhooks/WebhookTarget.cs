using System.Net;
using System.Net.Sockets;

namespace BackendSystems.Webhooks;

/// <summary>Where webhooks may go: a subscriber must not be able to point them at the inside of the network.</summary>
internal static class WebhookTarget
{
    /// <returns>What is wrong with the address and how to mend it, or null.</returns>
    public static string? Refuse(string? url, bool allowPrivate)
    {
        if (url is null || url.Length > 500 || url.Any(char.IsControl) || !Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme is not ("https" or "http"))
        {
            return "url must be an absolute https address of at most 500 characters, none of them a control character.";
        }

        if (uri.UserInfo.Length > 0 || uri.Fragment.Length > 0)
        {
            return "url must have neither user information nor a fragment.";
        }

        return allowPrivate || uri.Scheme == "https" ? null : "url must be https; http is for Development.";
    }

    /// <summary>Connects to public addresses only. The name is resolved here, so what was checked is what is connected to.</summary>
    public static async ValueTask<Stream> ConnectPublicAsync(SocketsHttpConnectionContext context, CancellationToken ct)
    {
        var addresses = await Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, ct);
        if (!Array.TrueForAll(addresses, IsPublic))
        {
            throw new HttpRequestException($"{context.DnsEndPoint.Host} is not a public address.");
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, ct);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    internal static bool IsPublic(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
        {
            address = address.MapToIPv4();
        }

        if (IPAddress.IsLoopback(address) || address.Equals(IPAddress.IPv6Any))
        {
            return false;
        }

        if (address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            return !(address.IsIPv6LinkLocal || address.IsIPv6SiteLocal || address.IsIPv6UniqueLocal || address.IsIPv6Multicast);
        }

        var bytes = address.GetAddressBytes();
        return bytes[0] switch
        {
            0 or 10 or 127 or >= 224 => false,
            100 => bytes[1] is < 64 or > 127,
            169 => bytes[1] != 254,
            172 => bytes[1] is < 16 or > 31,
            192 => !(bytes[1] == 168 || (bytes[1] == 0 && bytes[2] is 0 or 2)),
            198 => bytes[1] is not (18 or 19),
            _ => true,
        };
    }
}
