using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost;

/// <summary>Works with connection properties.</summary>
public static class ConnectionPropertiesExtensions
{
    /// <summary>The properties of a resource and more of them; where both have one of a name, the additional one counts.</summary>
    public static IEnumerable<KeyValuePair<string, ReferenceExpression>> CombineProperties(this IResourceWithConnectionString source, IEnumerable<KeyValuePair<string, ReferenceExpression>> additional)
    {
        var combined = new Dictionary<string, ReferenceExpression>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, value) in source.GetConnectionProperties().Concat(additional))
        {
            combined[name] = value;
        }

        return combined;
    }

    internal static IReadOnlyDictionary<string, ReferenceExpression> AllConnectionProperties(this IResourceWithConnectionString resource) =>
        new Dictionary<string, ReferenceExpression>(
            resource.CombineProperties(resource.Annotations.OfType<ConnectionPropertyAnnotation>()
                .Select(property => KeyValuePair.Create(property.Name, property.Value))),
            StringComparer.OrdinalIgnoreCase);
}

/// <summary>Names of environment variables.</summary>
internal static class EnvironmentName
{
    /// <summary>Everything but ASCII letters and digits becomes "_"; a digit in front gets one.</summary>
    public static string Of(string name)
    {
        var encoded = string.Concat(name.Select(character => char.IsAsciiLetterOrDigit(character) ? character : '_'));
        return encoded.Length > 0 && char.IsAsciiDigit(encoded[0]) ? $"_{encoded}" : encoded;
    }
}
