using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Extensions.Configuration;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// Gives endpoints their ports. A port once given is kept in <c>ports.json</c> and given again on the next start while it is free, so
/// addresses stay the same; two checkouts differ because each has its own file.
/// </summary>
internal sealed class Ports
{
    private const int First = 10000;
    private const int Last = 32767;
    private readonly Lock _lock = new();
    private readonly HashSet<int> _given = [];
    private readonly Dictionary<int, string> _fixedOf = [];
    private readonly Dictionary<string, string> _firstEndpoint = [];
    private readonly HashSet<int> _fixed = [];
    private readonly Dictionary<string, int> _kept = [];
    private readonly IConfiguration _configuration;
    private readonly string _file;
    private readonly bool _random;

    /// <param name="configuration">Fixed ports: <c>Ports:RESOURCE</c>, which is for a resource's first endpoint, or <c>Ports:RESOURCE:ENDPOINT</c>.</param>
    /// <param name="file">Where given ports are kept.</param>
    /// <param name="random">Ignores fixed and kept ports, so that test runs never meet each other.</param>
    public Ports(IConfiguration configuration, string file, bool random)
    {
        _configuration = configuration;
        _file = file;
        _random = random;
        if (!random)
        {
            // Whoever comes first must not take what a later one has been promised.
            _fixed.UnionWith(configuration.GetSection("Ports").AsEnumerable().Select(setting => int.TryParse(setting.Value, out var port) ? port : 0));
        }

        if (!random && File.Exists(file))
        {
            _kept = ReadKept(file);
        }
    }

    /// <summary>The address that consumers of an endpoint use.</summary>
    /// <param name="resource">The resource's name.</param>
    /// <param name="endpoint">The endpoint's name.</param>
    /// <param name="wanted">The port that the model asks for, if any.</param>
    /// <exception cref="DistributedApplicationException">A fixed port is taken.</exception>
    public int Public(string resource, string endpoint, int? wanted)
    {
        lock (_lock)
        {
            if (!_random && (Setting(resource, endpoint) ?? wanted) is { } port)
            {
                if (_fixedOf.TryGetValue(port, out var other))
                {
                    throw new DistributedApplicationException(
                        $"Port {port} is wanted by '{resource}' (endpoint '{endpoint}') and by {other}. Choose another port for one with Ports__{resource}__{endpoint}=PORT.");
                }

                if (!_given.Add(port) || !IsFree(port))
                {
                    throw new DistributedApplicationException(
                        $"Port {port} of '{resource}' (endpoint '{endpoint}') is taken by another process. End that process, or choose another port with Ports__{resource}=PORT.");
                }

                _fixedOf[port] = $"'{resource}' (endpoint '{endpoint}')";
                return port;
            }

            var key = $"{resource}/{endpoint}";
            if (!_kept.TryGetValue(key, out var kept) || _fixed.Contains(kept) || !_given.Add(kept) || !IsFree(kept))
            {
                _kept[key] = kept = Free();
            }

            return kept;
        }
    }

    /// <summary>A free port for one instance behind a proxy.</summary>
    /// <exception cref="DistributedApplicationException">There is none.</exception>
    public int Target()
    {
        lock (_lock)
        {
            return Free();
        }
    }

    /// <summary>The instance no longer uses its port.</summary>
    public void Release(int target)
    {
        lock (_lock)
        {
            _given.Remove(target);
        }
    }

    public void Keep()
    {
        lock (_lock)
        {
            if (!_random)
            {
                File.WriteAllText(_file, JsonSerializer.Serialize(_kept));
            }
        }
    }

    private static Dictionary<string, int> ReadKept(string file)
    {
        try
        {
            var kept = JsonSerializer.Deserialize<Dictionary<string, int>>(File.ReadAllText(file)) ?? [];
            return kept.Where(port => port.Value is > 0 and <= IPEndPoint.MaxPort).ToDictionary();
        }
        catch (JsonException)
        {
            // Half written when an earlier run was killed: new ports do no harm.
            return [];
        }
    }

    private int? Setting(string resource, string endpoint)
    {
        var key = $"Ports:{resource}:{endpoint}";
        if (_configuration[key] is null)
        {
            key = $"Ports:{resource}";
            if (!_firstEndpoint.TryAdd(resource, endpoint) && _firstEndpoint[resource] != endpoint)
            {
                return null;
            }
        }

        return _configuration[key] switch
        {
            null or "" => null,
            var text when int.TryParse(text, out var port) && port is > 0 and <= 65535 => port,
            var text => throw new DistributedApplicationException($"The setting {key} is '{text}', which is not a port. Give a number from 1 to 65535."),
        };
    }

    private int Free()
    {
        var start = Random.Shared.Next(First, Last + 1);
        foreach (var port in Enumerable.Range(start, Last + 1 - start).Concat(Enumerable.Range(First, start - First)))
        {
            if (!_given.Contains(port) && !_fixed.Contains(port) && IsFree(port))
            {
                _given.Add(port);
                return port;
            }
        }

        throw new DistributedApplicationException($"No port from {First} to {Last} is free. End what listens there, or raise the limit of open files (ulimit -n).");
    }

    private static bool IsFree(int port) => IsFree(IPAddress.Loopback, port) && (!Socket.OSSupportsIPv6 || IsFree(IPAddress.IPv6Loopback, port));

    private static bool IsFree(IPAddress address, int port)
    {
        try
        {
            using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(address, port));
            return true;
        }
        catch (SocketException exception)
        {
            // Version 6 may be known to the system but switched off.
            return exception.SocketErrorCode == SocketError.AddressNotAvailable;
        }
    }
}
