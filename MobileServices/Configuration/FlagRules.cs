using System.Text.Json;
using MobileIntegration.ServiceDefaults;

namespace MobileServices.Configuration;

/// <summary>What a flag must be to be kept.</summary>
internal static class FlagRules
{
    private const int MostVariants = 50;
    private const int MostRules = 100;
    private const int MostValues = 1000;
    private const int LongestBody = 256 * 1024;

    // An evaluation evaluates what is required too: at most 5 * 5 * 5 * 5 others.
    private const int MostRequired = 5;
    private const int DeepestRequired = 5;

    public static bool IsKey(string key) =>
        key.Length is > 0 and <= 100 && key.All(letter => letter is (>= 'a' and <= 'z') or (>= 'A' and <= 'Z') or (>= '0' and <= '9') or '-' or '_' or '.');

    /// <returns>Messages by field; empty when all is well.</returns>
    public static Dictionary<string, string[]> Check(Flag flag)
    {
        var errors = new Dictionary<string, string[]>();
        void Demand(string field, bool right, string message)
        {
            if (!right)
            {
                errors.TryAdd(field, [message]);
            }
        }

        // The serializer leaves out what was not sent.
        if (flag.Variants is null or { Count: 0 or > MostVariants } || flag.Default is null)
        {
            Demand("variants", flag.Variants is { Count: > 0 and <= MostVariants }, $"Send 1 to {MostVariants}, such as {{\"on\": true, \"off\": false}}.");
            Demand("default", flag.Default is not null, "Is missing. Name a variant.");
            return errors;
        }
        var names = string.Join(", ", flag.Variants.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, value) in flag.Variants)
        {
            Demand($"variants.{name}", IsKey(name), "Must be named with at most 100 letters, digits, '-', '_' and '.'.");
            Demand($"variants.{name}", Is(flag.Type, value), $"Must be of the flag's type {JsonNamingPolicy.CamelCase.ConvertName(flag.Type.ToString())}.");
        }
        Demand("default", flag.Variants.ContainsKey(flag.Default), $"Must be one of {names}.");
        Demand("rules", (flag.Rules?.Count ?? 0) <= MostRules, $"Send {MostRules} at most.");
        Demand("rules", (flag.Rules ?? []).Select(rule => rule?.Name).Distinct(StringComparer.Ordinal).Count() == (flag.Rules?.Count ?? 0), "Must have names of their own.");
        foreach (var (rule, at) in (flag.Rules ?? []).Select((rule, at) => (rule, at)))
        {
            CheckRule(rule, $"rules[{at}]", flag, names, Demand);
        }
        Demand("requires", (flag.Requires?.Count ?? 0) <= MostRequired, $"Send {MostRequired} at most.");
        foreach (var (required, at) in (flag.Requires ?? []).Select((required, at) => (required, at)))
        {
            Demand($"requires[{at}]", required is { Flag: not null, Variants.Count: > 0 }, "Must name a flag and at least one of its variants.");
        }
        Demand("", JsonSerializer.SerializeToUtf8Bytes(flag, Flag.Json).Length <= LongestBody, $"The flag is longer than {LongestBody / 1024} KiB.");
        return errors;
    }

    /// <summary>What a flag that is to be in force requires of the others of its app.</summary>
    /// <returns>What is wrong; null when nothing is.</returns>
    public static string? CheckRequirements(string key, Flag? flag, IReadOnlyDictionary<string, Flag> others)
    {
        var all = new Dictionary<string, Flag>(others, StringComparer.Ordinal);
        all.Remove(key);
        if (flag is null)
        {
            var dependent = all.FirstOrDefault(other => (other.Value.Requires ?? []).Any(required => required.Flag == key)).Key;
            return dependent is null ? null : $"The flag '{dependent}' requires '{key}'. Change that one first.";
        }
        all[key] = flag;
        foreach (var (name, one) in all)
        {
            foreach (var required in one.Requires ?? [])
            {
                if (!all.TryGetValue(required.Flag, out var other))
                {
                    return $"The flag '{name}' requires '{required.Flag}', which there is not.";
                }
                if (required.Variants.FirstOrDefault(variant => !other.Variants.ContainsKey(variant)) is { } unknown)
                {
                    return $"The flag '{name}' requires the variant '{unknown}' of '{required.Flag}', which has {string.Join(", ", other.Variants.Keys)}.";
                }
            }
        }
        if (all.Keys.Select(name => Circle(name, all, [name])).FirstOrDefault(found => found is not null) is not { } path)
        {
            return null;
        }
        return path.Distinct().Count() < path.Count
            ? $"Flags may not require one another in a circle: {string.Join(" -> ", path)}."
            : $"Flags may require one another {DeepestRequired - 1} deep at most: {string.Join(" -> ", path)}.";
    }

    private static void CheckRule(TargetingRule rule, string at, Flag flag, string names, Action<string, bool, string> demand)
    {
        if (rule?.Name is not { Length: > 0 and <= 100 } || rule.Name.Any(char.IsControl))
        {
            demand($"{at}.name", false, "Must be text of at most 100 characters.");
            return;
        }
        demand($"{at}.versions", rule.Versions is null || AppDecisions.IsRange(rule.Versions), "Must be a range in npm's syntax such as >=1.4.0 <1.5.0.");
        demand($"{at}.osVersions", rule.OsVersions is null || AppDecisions.IsRange(rule.OsVersions), "Must be a range in npm's syntax such as <16.0.0.");
        demand($"{at}.until", !(rule.Until <= rule.From), "Must be after from.");
        var lists = new[] { rule.Users?.Count, rule.Devices?.Count, rule.Locales?.Count }.Concat((rule.Attributes ?? new Dictionary<string, IReadOnlyList<string>>()).Select(one => (int?)one.Value?.Count));
        demand(at, lists.All(count => count is null or <= MostValues), $"Lists have {MostValues} values at most; use an attribute for larger groups.");
        demand($"{at}.attributes", (rule.Attributes ?? new Dictionary<string, IReadOnlyList<string>>()).All(one => one.Value is { Count: > 0 }), "Must have at least one value each.");
        demand(at, rule.Serve is null != rule.Split is null, "Must have either serve, a variant, or split, percentages by variant.");
        demand($"{at}.serve", rule.Serve is null || flag.Variants.ContainsKey(rule.Serve), $"Must be one of {names}.");
        if (rule.Split is { } split)
        {
            demand($"{at}.split", split.Keys.All(flag.Variants.ContainsKey), $"Must name some of {names}.");
            demand($"{at}.split", split.Values.All(share => share >= 0 && decimal.Round(share, 2) == share) && split.Values.Sum() == 100,
                "Must be percentages with two decimals at most that are 100 together.");
        }
    }

    /// <returns>A path that comes back to where it was or is too long.</returns>
    private static List<string>? Circle(string key, Dictionary<string, Flag> all, List<string> path)
    {
        foreach (var required in all[key].Requires ?? [])
        {
            List<string> next = [.. path, required.Flag];
            if (path.Contains(required.Flag) || next.Count > DeepestRequired)
            {
                return next;
            }
            if (Circle(required.Flag, all, next) is { } found)
            {
                return found;
            }
        }
        return null;
    }

    private static bool Is(FlagType type, JsonElement value) => type switch
    {
        FlagType.Boolean => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        FlagType.String => value.ValueKind is JsonValueKind.String,
        FlagType.Number => value.ValueKind is JsonValueKind.Number,
        _ => value.ValueKind is JsonValueKind.Object,
    };
}
