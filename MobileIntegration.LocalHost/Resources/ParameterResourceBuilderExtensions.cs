using Microsoft.Extensions.Configuration;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost;

/// <summary>Adds parameters, and connection strings from the configuration.</summary>
public static class ParameterResourceBuilderExtensions
{
    private const int PasswordLength = 22;

    /// <summary>Adds a parameter whose value is configured as <c>Parameters:{name}</c>; hyphens may be underscores there.</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(this IDistributedApplicationBuilder builder, string name, bool secret = false) =>
        builder.AddResource(CreateParameter(builder, name, secret));

    /// <summary>Adds a parameter with a value, unless another is configured.</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(this IDistributedApplicationBuilder builder, string name, string value, bool publishValueAsDefault = false, bool secret = false)
    {
        ArgumentNullException.ThrowIfNull(value);
        return builder.AddParameter(name, () => value, publishValueAsDefault, secret);
    }

    /// <summary>Adds a parameter with a value that is asked for when it is first needed, unless another is configured.</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(this IDistributedApplicationBuilder builder, string name, Func<string> valueGetter, bool publishValueAsDefault = false, bool secret = false)
    {
        ArgumentNullException.ThrowIfNull(valueGetter);
        if (publishValueAsDefault && secret)
        {
            throw new ArgumentException($"Parameter '{name}' is secret, so its value must not be published: remove publishValueAsDefault or secret.", nameof(publishValueAsDefault));
        }

        return Add(builder, name, secret, new ConstantParameterDefault(valueGetter));
    }

    /// <summary>Adds a parameter with a default; with <paramref name="persist"/> it is kept in the user secrets once it was generated.</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(this IDistributedApplicationBuilder builder, string name, ParameterDefault value, bool secret = false, bool persist = false)
    {
        ArgumentNullException.ThrowIfNull(value);
        return Add(builder, name, secret, persist ? Keep(builder, name, value) : value);
    }

    /// <summary>Adds a parameter whose value is configured under a key of your choice.</summary>
    public static IResourceBuilder<ParameterResource> AddParameterFromConfiguration(this IDistributedApplicationBuilder builder, string name, string configurationKey, bool secret = false)
    {
        ArgumentException.ThrowIfNullOrEmpty(configurationKey);
        return builder.AddResource(new ParameterResource(name, _ => Value(builder, name, configurationKey, null), secret) { Keep = value => builder.Secrets()?.Set(configurationKey, value) == true });
    }

    public static IResourceBuilder<ParameterResource> WithDescription(this IResourceBuilder<ParameterResource> builder, string description, bool enableMarkdown = false)
    {
        builder.Resource.Description = description;
        builder.Resource.EnableDescriptionMarkdown = enableMarkdown;
        return builder;
    }

    /// <summary>
    /// Adds a connection string that is configured as <c>ConnectionStrings:{name}</c>. Resources that refer to it get it as
    /// <paramref name="environmentVariableName"/> if given.
    /// </summary>
    public static IResourceBuilder<IResourceWithConnectionString> AddConnectionString(this IDistributedApplicationBuilder builder, string name, string? environmentVariableName = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.AddResource(new ConfiguredConnectionStringResource(
            name,
            _ => builder.Configuration.GetConnectionString(name) ?? throw new MissingParameterValueException(
                $"The connection string '{name}' has no value. Set the environment variable ConnectionStrings__{name}, or run: dotnet user-secrets set \"ConnectionStrings:{name}\" VALUE"),
            environmentVariableName)
        { IsConnectionString = true });
    }

    /// <summary>A parameter that is not in the model.</summary>
    public static ParameterResource CreateParameter(IDistributedApplicationBuilder builder, string name, bool secret) =>
        new(name, @default => Value(builder, name, $"Parameters:{name}", @default), secret) { Keep = value => builder.Secrets()?.Set($"Parameters:{name}", value) == true };

    /// <summary>A secret of at least 22 characters that is not in the model; generated once and kept in the user secrets.</summary>
    public static ParameterResource CreateDefaultPasswordParameter(IDistributedApplicationBuilder builder, string name, bool lower = true, bool upper = true, bool numeric = true, bool special = true, int minLower = 0, int minUpper = 0, int minNumeric = 0, int minSpecial = 0) =>
        CreateGeneratedParameter(builder, name, secret: true, new GenerateParameterDefault
        {
            MinLength = PasswordLength,
            Lower = lower,
            Upper = upper,
            Numeric = numeric,
            Special = special,
            MinLower = minLower,
            MinUpper = minUpper,
            MinNumeric = minNumeric,
            MinSpecial = minSpecial,
        });

    /// <summary>A parameter that is not in the model; its value is generated once and kept in the user secrets.</summary>
    public static ParameterResource CreateGeneratedParameter(IDistributedApplicationBuilder builder, string name, bool secret, GenerateParameterDefault parameterDefault)
    {
        var parameter = CreateParameter(builder, name, secret);
        parameter.Default = Keep(builder, name, parameterDefault);
        return parameter;
    }

    private static IResourceBuilder<ParameterResource> Add(IDistributedApplicationBuilder builder, string name, bool secret, ParameterDefault? fallback)
    {
        var parameter = CreateParameter(builder, name, secret);
        parameter.Default = fallback;
        return builder.AddResource(parameter);
    }

    private static ParameterDefault Keep(IDistributedApplicationBuilder builder, string name, ParameterDefault generated) =>
        builder.Secrets() is { } secrets ? new KeptParameterDefault(secrets, name, generated) : generated;

    private static string Value(IDistributedApplicationBuilder builder, string name, string key, ParameterDefault? fallback) =>
        builder.Configuration[key]
        ?? builder.Configuration[key.Replace('-', '_')]
        ?? fallback?.GetDefaultValue()
        ?? throw new MissingParameterValueException(
            $"Parameter '{name}' has no value. Set the environment variable {key.Replace(":", "__", StringComparison.Ordinal).Replace('-', '_')}, or run: dotnet user-secrets set \"{key}\" VALUE");

    // A builder of somebody else (a decorator, say) has no secrets of its own to keep anything in.
    private static UserSecrets? Secrets(this IDistributedApplicationBuilder builder) => (builder as DistributedApplicationBuilder)?.UserSecrets;
}
