using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>The parts of an endpoint's address.</summary>
public enum EndpointProperty
{
    Url = 0,
    Host = 1,
    IPV4Host = 2,
    Port = 3,
    Scheme = 4,
    TargetPort = 5,
    HostAndPort = 6,
    TlsEnabled = 7,
}

/// <summary>
/// Names an endpoint of a resource, before or after it has an address. Synchronous members throw while there is none;
/// <see cref="GetValueAsync(CancellationToken)"/> waits for it.
/// </summary>
[DebuggerDisplay("{Resource.Name,nq}/{EndpointName,nq}")]
[SuppressMessage("Usage", "CA2208", Justification = "The message names the endpoint.")]
public sealed class EndpointReference : IExpressionValue, IValueWithReferences
{
    private EndpointAnnotation? _annotation;

    public EndpointReference(IResourceWithEndpoints owner, EndpointAnnotation endpoint, NetworkIdentifier? contextNetworkId)
    {
        ArgumentNullException.ThrowIfNull(owner);
        ArgumentNullException.ThrowIfNull(endpoint);
        Resource = owner;
        EndpointName = endpoint.Name;
        _annotation = endpoint;
        ContextNetworkID = contextNetworkId;
    }

    public EndpointReference(IResourceWithEndpoints owner, EndpointAnnotation endpoint)
        : this(owner, endpoint, null)
    {
    }

    public EndpointReference(IResourceWithEndpoints owner, string endpointName, NetworkIdentifier? contextNetworkId = null)
    {
        ArgumentNullException.ThrowIfNull(owner);
        ArgumentException.ThrowIfNullOrEmpty(endpointName);
        Resource = owner;
        EndpointName = endpointName;
        ContextNetworkID = contextNetworkId;
    }

    public EndpointReference(IResourceWithEndpoints owner, string endpointName)
        : this(owner, endpointName, null)
    {
    }

    /// <exception cref="InvalidOperationException">The resource has no such endpoint.</exception>
    public EndpointAnnotation EndpointAnnotation => Find() ?? throw new InvalidOperationException(ErrorMessage
        ?? $"'{Resource.Name}' has no endpoint '{EndpointName}'. {KnownEndpoints()}");

    public IResourceWithEndpoints Resource { get; }

    public string EndpointName { get; }

    /// <summary>What to say when there is no such endpoint.</summary>
    public string? ErrorMessage { get; init; }

    public bool IsAllocated => Find()?.AllocatedEndpoint is not null;

    public bool Exists => Find() is not null;

    public bool IsHttp => Is("http");

    public bool IsHttps => Is("https");

    public bool TlsEnabled => Exists && EndpointAnnotation.TlsEnabled;

    /// <summary>The endpoint is called http or https and speaks it.</summary>
    public bool IsHttpSchemeNamedEndpoint => (IsHttp || IsHttps) && EndpointName is "http" or "https";

    public bool ExcludeReferenceEndpoint => EndpointAnnotation.ExcludeReferenceEndpoint;

    public NetworkIdentifier? ContextNetworkID { get; }

    public int Port => Allocated.Port;

    public int? TargetPort => EndpointAnnotation.TargetPort;

    public string Host => Allocated.Address;

    public string Scheme => EndpointAnnotation.UriScheme;

    public string Url => Allocated.UriString;

    string IManifestExpressionProvider.ValueExpression => $"{{{Resource.Name}.bindings.{EndpointName}.url}}";

    IEnumerable<object> IValueWithReferences.References => [Resource];

    private AllocatedEndpoint Allocated => EndpointAnnotation.AllocatedEndpoint ?? throw new InvalidOperationException(
        $"Endpoint '{EndpointName}' of '{Resource.Name}' has no address yet. Use it in an expression or a callback, which run once it has one.");

    /// <summary>One of two expressions, by whether the endpoint uses TLS.</summary>
    public ReferenceExpression GetTlsValue(ReferenceExpression enabledValue, ReferenceExpression disabledValue) =>
        ReferenceExpression.CreateConditional(Property(EndpointProperty.TlsEnabled), bool.TrueString, enabledValue, disabledValue);

    /// <summary>The URL, once the endpoint has an address.</summary>
    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) =>
        Property(EndpointProperty.Url).GetValueAsync(cancellationToken);

    public ValueTask<string?> GetValueAsync(ValueProviderContext context, CancellationToken cancellationToken = default) =>
        GetValueAsync(cancellationToken);

    public EndpointReferenceExpression Property(EndpointProperty property) => new(this, property);

    internal string KnownEndpoints()
    {
        var names = Resource.Annotations.OfType<EndpointAnnotation>().Select(endpoint => $"'{endpoint.Name}'").ToList();
        return names.Count == 0
            ? "It has none at all: add one with WithHttpEndpoint() or WithEndpoint(...)."
            : $"It has {string.Join(", ", names)}: use one of them, or add it with WithEndpoint(name: \"{EndpointName}\").";
    }

    private EndpointAnnotation? Find() => _annotation ??= Resource.Annotations.OfType<EndpointAnnotation>()
        .FirstOrDefault(endpoint => string.Equals(endpoint.Name, EndpointName, StringComparison.OrdinalIgnoreCase));

    private bool Is(string scheme) => Exists && string.Equals(EndpointAnnotation.UriScheme, scheme, StringComparison.OrdinalIgnoreCase);
}

/// <summary>A part of an endpoint's address as a value.</summary>
public class EndpointReferenceExpression(EndpointReference endpointReference, EndpointProperty property) : IExpressionValue, IValueWithReferences
{
    public EndpointReference Endpoint { get; } = endpointReference;

    public EndpointProperty Property { get; } = property;

    [SuppressMessage("Globalization", "CA1308", Justification = "Expressions are written in lower camel case.")]
    public string ValueExpression => $"{{{Endpoint.Resource.Name}.bindings.{Endpoint.EndpointName}.{JsonName(Property.ToString())}}}";

    IEnumerable<object> IValueWithReferences.References => [Endpoint];

    /// <summary>
    /// The value; waits for the endpoint's address. The target port of an endpoint that leaves it open is known to each instance only:
    /// it is a placeholder that is filled in when the instance starts.
    /// </summary>
    public async ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default)
    {
        var annotation = Endpoint.EndpointAnnotation;
        switch (Property)
        {
            case EndpointProperty.Scheme:
                return annotation.UriScheme;
            case EndpointProperty.TlsEnabled:
                return annotation.TlsEnabled ? bool.TrueString : bool.FalseString;
            case EndpointProperty.IPV4Host:
                return "127.0.0.1";
            case EndpointProperty.TargetPort:
                return annotation.TargetPort?.ToString(CultureInfo.InvariantCulture)
                    ?? ResourceLaunch.TargetPortPlaceholder(Endpoint.Resource, annotation);
        }

        var address = await annotation.AllAllocatedEndpoints.GetAllocatedEndpointAsync(annotation.DefaultNetworkID, cancellationToken).ConfigureAwait(false);
        return Property switch
        {
            EndpointProperty.Host => address.Address,
            EndpointProperty.Port => address.Port.ToString(CultureInfo.InvariantCulture),
            EndpointProperty.HostAndPort => address.EndPointString,
            EndpointProperty.Url => address.UriString,
            _ => throw new InvalidOperationException($"An endpoint has no property {Property}."),
        };
    }

    public ValueTask<string?> GetValueAsync(ValueProviderContext context, CancellationToken cancellationToken = default) =>
        GetValueAsync(cancellationToken);

    private static string JsonName(string name) => char.ToLowerInvariant(name[0]) + name[1..];
}

/// <summary>The endpoints of a resource that another refers to.</summary>
public sealed class EndpointReferenceAnnotation(IResourceWithEndpoints resource) : IResourceAnnotation
{
    public IResourceWithEndpoints Resource { get; } = resource;

    public bool UseAllEndpoints { get; set; }

    public ISet<string> EndpointNames { get; } = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
}

/// <summary>An endpoint that a value of the resource needs.</summary>
internal sealed record UsedEndpointAnnotation(EndpointReference Endpoint) : IResourceAnnotation;
