using System.Globalization;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>What spans, logs and points say in attributes whose names OpenTelemetry's semantic conventions define (old and new names).</summary>
internal static class SpanFields
{
    private static readonly string[] Paths = ["http.route", "url.path", "http.target", "url.full", "http.url"];

    public static bool IsHealthCheck(TelemetryAttribute[] attributes)
    {
        foreach (var attribute in attributes)
        {
            if (attribute.Value is string path && path.Length >= "/alive".Length && path[0] is '/' or 'h' && Array.IndexOf(Paths, attribute.Key) >= 0)
            {
                var question = path.IndexOf('?', StringComparison.Ordinal);
                var end = (question < 0 ? path.AsSpan() : path.AsSpan(0, question)).TrimEnd('/');
                if (path[0] == '/' ? end is "/health" or "/alive" : IsPathOf(end, "/health") || IsPathOf(end, "/alive"))
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <summary>The name of who is called: its service name, else queue, database system or address; null if nothing tells.</summary>
    public static string? Peer(TelemetryAttribute[] attributes)
    {
        string? service = null, queue = null, database = null, host = null, messaging = null, rpc = null;
        object? port = null;
        foreach (var attribute in attributes)
        {
            switch (attribute.Key)
            {
                case "peer.service" or "service.peer.name": service = attribute.Text; break;
                case "messaging.destination.name" or "messaging.destination": queue = attribute.Text; break;
                case "messaging.system": messaging = attribute.Text; break;
                case "db.system.name" or "db.system": database = attribute.Text; break;
                case "rpc.service": rpc = attribute.Text; break;
                case "server.address" or "net.peer.name" or "network.peer.address" when host is null or "": host = attribute.Text; break;
                case "server.port" or "net.peer.port" or "network.peer.port" when port is null: port = attribute.Value; break;
            }
        }

        return service ?? queue ?? messaging ?? database ??
            (host is { Length: > 0 } ? port is null ? host : string.Create(CultureInfo.InvariantCulture, $"{host}:{port}") : rpc);
    }

    /// <summary>The address that a call goes to, for those who know what listens there; null if it is not said.</summary>
    public static (string Host, int Port)? Address(TelemetrySpan span)
    {
        var host = (span["server.address"] ?? span["net.peer.name"] ?? span["network.peer.address"]) as string;
        var port = span["server.port"] ?? span["net.peer.port"] ?? span["network.peer.port"];
        return host is { Length: > 0 } ? (host, port is long number and > 0 and < 65536 ? (int)number : 0) : null;
    }

    private static bool IsPathOf(ReadOnlySpan<char> address, string path) =>
        address.EndsWith(path, StringComparison.Ordinal) && address.StartsWith("http", StringComparison.Ordinal) &&
        address.Count('/') == 3;
}
