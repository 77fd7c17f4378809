using System.Globalization;
using System.Security.Claims;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;
using MobileServices.Sync.Databases;

namespace MobileServices.Sync;

/// <summary>Who asks for what: the database as the caller may see it, and the parts of the path as they were sent.</summary>
internal sealed partial class SyncCall
{
    public const string Prefix = "/sync";

    private readonly SharedDatabase? _shared;
    private readonly IReadOnlyCollection<string> _roles;

    private SyncCall(HttpContext http, SyncOptions options, string[] segments)
    {
        Http = http;
        Options = options;
        Segments = segments;
        Query = new(http.Request.Query);
        User = http.User.FindFirstValue("sub") is { Length: > 0 } user ? user : throw new SyncException(401, "unauthorized", "The access token names no user (sub).");
        var client = http.User.FindFirstValue("client_id") ?? http.User.FindFirstValue("azp") ?? "";
        App = options.Apps.GetValueOrDefault(client) ?? client;
        (Device, DeviceApp) = DeviceOf(http.Request.Headers);
        _roles = [.. http.User.FindAll(options.RoleClaim).Select(claim => claim.Value)];
        var name = segments.Length > 0 ? segments[0] : "";
        _shared = options.Shared.GetValueOrDefault(name);
        Database = new(App, _shared is null ? User : "", name);
    }

    public HttpContext Http { get; }

    public SyncOptions Options { get; }

    /// <summary>Behind <c>/sync</c>, unescaped each: a document's id may hold a slash that was sent as %2F.</summary>
    public string[] Segments { get; }

    public SyncQuery Query { get; }

    public string User { get; }

    public string App { get; }

    /// <summary>The installation that calls (header <c>X-Device-Id</c>); null when it does not say.</summary>
    public Guid? Device { get; }

    /// <summary>Its app as push knows it (header <c>X-App-Id</c>), such as <c>com.example.shop</c>.</summary>
    public string? DeviceApp { get; }

    public IReadOnlyCollection<string> Roles => _roles;

    public DatabaseKey Database { get; }

    /// <summary>Whether the caller may write design documents: in databases of his own, or with a role of the settings.</summary>
    public bool IsAdmin => _shared is null || _shared.Admins.Exists(role => _roles.Contains(role));

    public bool IsShared => _shared is not null;

    public CancellationToken Aborted => Http.RequestAborted;

    /// <summary>A call about no database.</summary>
    public static SyncCall OfServer(HttpContext http)
    {
        var target = http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var end = target.IndexOf('?', StringComparison.Ordinal);
        var path = end < 0 ? target : target[..end];
        // An absolute target, as proxies send it, or one with dot segments: the server's own reading of it is what was routed.
        if (!path.StartsWith(Prefix, StringComparison.Ordinal))
        {
            path = http.Request.Path.Value!;
        }
        string[] segments = [.. path[Prefix.Length..].Split('/').Skip(1).Select(Unescape)];
        if (segments.Length > 0 && segments[^1].Length is 0)
        {
            segments = segments[..^1];
        }
        return new(http, http.RequestServices.GetRequiredService<IOptions<SyncOptions>>().Value, segments);
    }

    /// <exception cref="SyncException">The name is none, or the caller may not read it.</exception>
    public static SyncCall ToRead(HttpContext http)
    {
        var call = OfServer(http);
        if (call.Segments.Length is 0 || !DatabaseName().IsMatch(call.Segments[0]))
        {
            throw new SyncException(400, "illegal_database_name",
                $"Name: '{call.Segments.FirstOrDefault()}'. Only lowercase characters (a-z), digits (0-9), and any of the characters _, $, (, ), +, -, and / are allowed. Must begin with a letter.");
        }
        call.Allow(call._shared?.Readers, call._shared?.Writers);
        return call;
    }

    /// <exception cref="SyncException">The name is none, or the caller may not write to it.</exception>
    public static SyncCall ToWrite(HttpContext http)
    {
        var call = ToRead(http);
        call.Allow(call._shared?.Writers, null);
        return call;
    }

    /// <summary>What only the owner of a database may do; with one that is shared, nobody but the operators by its settings.</summary>
    public static SyncCall ToOwn(HttpContext http)
    {
        var call = ToWrite(http);
        return call.IsShared ? throw new SyncException(403, "forbidden", "You are not a db or server admin.") : call;
    }

    /// <summary>The document's id, and where the segments after it begin.</summary>
    public (string Id, int Next) Document()
    {
        var first = Segments[1];
        if (first is "_design" or "_local")
        {
            return Segments.Length > 2 ? ($"{first}/{Segments[2]}", 3) : throw SyncException.Missing();
        }
        return (first, 2);
    }

    /// <summary>The name of an attachment: whatever follows, slashes included.</summary>
    public string Attachment() => string.Join('/', Segments[Document().Next..]);

    private void Allow(List<string>? roles, List<string>? others)
    {
        if (roles is { Count: > 0 } && !roles.Exists(role => _roles.Contains(role)) && others?.Exists(role => _roles.Contains(role)) is not true)
        {
            throw new SyncException(403, "forbidden", "You are not allowed to access this db.");
        }
    }

    private static (Guid? Device, string? App) DeviceOf(IHeaderDictionary headers)
    {
        var (device, app) = (headers["X-Device-Id"], headers["X-App-Id"]);
        Guid? id = device.Count is 0 ? null
            : Guid.TryParseExact(device.ToString(), "D", out var given) ? given
            : throw SyncException.Bad("X-Device-Id must be there once: the installation's UUID.");
        return app.Count > 1 || app.ToString().Length > 200
            ? throw SyncException.Bad("X-App-Id must be there once: the app's reverse domain name such as com.example.shop.")
            : (id, app.ToString() is { Length: > 0 } name ? name : null);
    }

    private static string Unescape(string segment)
    {
        var text = Uri.UnescapeDataString(segment);
        // What is no UTF-8 stays as it was sent.
        return text.Contains('\0', StringComparison.Ordinal) ? throw SyncException.Bad("The path holds a null character.") : text;
    }

    [GeneratedRegex("^[a-z][a-z0-9_$()+/-]{0,127}$", RegexOptions.CultureInvariant)]
    private static partial Regex DatabaseName();
}

/// <summary>Parameters of the query; numbers, booleans and JSON as the protocol writes them.</summary>
internal sealed class SyncQuery(IQueryCollection query)
{
    public string? Text(string name) => query.TryGetValue(name, out var values) && values.Count > 0 ? values[^1] : null;

    public bool Has(string name) => query.ContainsKey(name);

    public bool Flag(string name, bool otherwise = false) => Text(name) switch
    {
        null or "" => otherwise,
        "true" => true,
        "false" => false,
        var other => throw SyncException.Query($"Invalid boolean parameter: \"{other}\""),
    };

    /// <summary>Not negative.</summary>
    public long? Number(string name) => Text(name) switch
    {
        null or "" => null,
        var text when long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => number,
        var other => throw SyncException.Query($"Invalid value for integer: \"{other}\""),
    };

    public JsonElement? Json(string name)
    {
        if (Text(name) is not { } text)
        {
            return null;
        }
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            throw SyncException.Bad($"invalid UTF-8 JSON in the parameter {name}");
        }
    }

    /// <summary>A JSON list of texts.</summary>
    public List<string>? Texts(string name) => Json(name) is { } json ? Texts(json, name) : null;

    public static List<string> Texts(JsonElement json, string name)
    {
        if (json.ValueKind is not JsonValueKind.Array || json.EnumerateArray().Any(item => item.ValueKind is not JsonValueKind.String))
        {
            throw SyncException.Bad($"`{name}` must be an array of strings.");
        }
        return [.. json.EnumerateArray().Select(item => item.GetString()!)];
    }
}
