using System.Text.Json;
using System.Text.Json.Serialization;
using MobileIntegration.Contracts;

namespace MobileServices.Configuration;

/// <summary>Of what type a flag's values are.</summary>
internal enum FlagType
{
    Boolean,
    String,

    /// <summary>Whole or not: clients ask for it as either.</summary>
    Number,

    /// <summary>Any JSON object: a configuration value.</summary>
    Object,
}

/// <summary>A feature flag or a configuration value, as administrators write it.</summary>
/// <param name="Variants">The values there are, by name; at least one.</param>
/// <param name="Default">The variant when the flag is off, something that it requires is not so, or no rule hits.</param>
/// <param name="Enabled">When false, everybody gets <paramref name="Default"/>.</param>
/// <param name="Requires">What other flags of the app must evaluate to, all of it, before the rules are asked.</param>
/// <param name="Rules">Asked in their order; the first that hits decides.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record Flag(
    FlagType Type,
    IReadOnlyDictionary<string, JsonElement> Variants,
    string Default,
    bool Enabled = true,
    IReadOnlyList<Requirement>? Requires = null,
    IReadOnlyList<TargetingRule>? Rules = null,
    string? Description = null)
{
    /// <summary>How flags stand in the database and on the wire.</summary>
    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        AllowDuplicateProperties = false,
    };
}

/// <summary>Another flag of the app evaluates to one of these variants for the same caller.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record Requirement(string Flag, IReadOnlyList<string> Variants);

/// <summary>
/// Whom it hits and what they get. What is null or empty does not narrow it, so a rule without conditions hits everybody. Platforms, versions,
/// systems and times mean what they mean in an <see cref="AppRule"/>, and are judged by the same code.
/// </summary>
/// <param name="Name">Told as the reason of an evaluation.</param>
/// <param name="Locales">BCP 47; <c>de</c> hits <c>de-AT</c> too.</param>
/// <param name="Users">Users as access tokens name them (<c>sub</c>); what the context says of them does not count.</param>
/// <param name="Devices">Installation ids.</param>
/// <param name="Attributes">Any of the values, for each attribute of the context; numbers and booleans as JSON writes them.</param>
/// <param name="Serve">The variant that they get, or</param>
/// <param name="Split">percentages of them by variant, together 100, two decimals: see <see cref="FlagSet"/>.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)] // a condition that is misspelt must not be a rule without it
internal sealed record TargetingRule(
    string Name,
    IReadOnlyList<AppPlatform>? Platforms = null,
    string? Versions = null,
    string? OsVersions = null,
    IReadOnlyList<string>? Locales = null,
    IReadOnlyList<string>? Users = null,
    IReadOnlyList<Guid>? Devices = null,
    IReadOnlyDictionary<string, IReadOnlyList<string>>? Attributes = null,
    DateTimeOffset? From = null,
    DateTimeOffset? Until = null,
    string? Serve = null,
    IReadOnlyDictionary<string, decimal>? Split = null);
