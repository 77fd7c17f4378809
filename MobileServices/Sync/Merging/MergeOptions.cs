using Microsoft.Extensions.Options;

namespace MobileServices.Sync.Merging;

/// <summary>Conflicts of a database that the service merges field by field; section <c>Sync:Merge:{database}</c>.</summary>
internal sealed class MergeOptions
{
    private static readonly Dictionary<string, MergeStrategy> Strategies = new(StringComparer.Ordinal)
    {
        ["last-writer"] = MergeStrategy.LastWriter,
        ["max"] = MergeStrategy.Max,
        ["min"] = MergeStrategy.Min,
        ["set-union"] = MergeStrategy.SetUnion,
        ["counter"] = MergeStrategy.Counter,
        ["text"] = MergeStrategy.Text,
        ["ask"] = MergeStrategy.Ask,
    };

    /// <summary>How fields are merged that are not named in <see cref="Fields"/>, when both sides changed them.</summary>
    public string Default { get; init; } = "last-writer";

    /// <summary>By the name of the document's member: last-writer, max, min, set-union, counter, text, ask.</summary>
    public Dictionary<string, string> Fields { get; } = [];

    /// <summary>How long the bodies of revisions that are no leaves stay against <c>_compact</c>, 1 to 3650 days: merges need those of common ancestors.</summary>
    public int KeepDays { get; init; } = 30;

    public MergeStrategy Of(string field) => Strategies[Fields.GetValueOrDefault(field, Default)];

    /// <returns>What is wrong with the settings.</returns>
    public IEnumerable<string> Faults(string path)
    {
        if (KeepDays is < 1 or > 3650)
        {
            yield return $"{path}:KeepDays must be from 1 to 3650.";
        }
        foreach (var (name, strategy) in Fields.Append(new("Default", Default)).Where(field => !Strategies.ContainsKey(field.Value)))
        {
            yield return $"{path} merges {name} by '{strategy}'. Valid: {string.Join(", ", Strategies.Keys)}.";
        }
    }
}

internal enum MergeStrategy
{
    /// <summary>The winning revision's.</summary>
    LastWriter,

    /// <summary>The greater of both, in the order of views.</summary>
    Max,

    /// <summary>The lesser of both.</summary>
    Min,

    /// <summary>Of two lists what both have, and what either added.</summary>
    SetUnion,

    /// <summary>Of two numbers what both added.</summary>
    Counter,

    /// <summary>Of two texts the lines of both; where both changed the same lines, the winner's and then the other's.</summary>
    Text,

    /// <summary>The conflict stays, for a person to decide.</summary>
    Ask,
}

internal sealed class MergeRules : IValidateOptions<SyncOptions>
{
    public ValidateOptionsResult Validate(string? name, SyncOptions options)
    {
        List<string> faults = [];
        foreach (var (database, merge) in options.Merge)
        {
            faults.AddRange(merge.Faults($"Sync:Merge:{database}"));
            if (options.Bound.ContainsKey(database))
            {
                faults.Add($"Sync:Merge names '{database}', which is bound: there the back office decides.");
            }
        }
        return faults.Count is 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }
}
