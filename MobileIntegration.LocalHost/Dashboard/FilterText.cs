using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>Field filters as an address carries them: <c>field~eq~value</c>, with <c>-</c> before one that is switched off.</summary>
internal sealed record FilterText(FieldFilter Filter, bool IsOn)
{
    public static readonly IReadOnlyList<(FieldOperator Operator, string Code, string Sign)> Operators =
    [
        (FieldOperator.Equal, "eq", "="), (FieldOperator.NotEqual, "ne", "≠"), (FieldOperator.Contains, "has", "contains"),
        (FieldOperator.NotContains, "hasnt", "does not contain"), (FieldOperator.GreaterThan, "gt", ">"), (FieldOperator.LessThan, "lt", "<"),
        (FieldOperator.AtLeast, "ge", "≥"), (FieldOperator.AtMost, "le", "≤"),
    ];

    public string Sign => Operators.First(one => one.Operator == Filter.Operator).Sign;

    /// <summary>Those that can be read; an address may have been written by hand.</summary>
    public static List<FilterText> ParseAll(string[]? texts) => [.. (texts ?? []).Select(Parse).OfType<FilterText>()];

    public static IReadOnlyList<FieldFilter> Active(string[]? texts) => [.. ParseAll(texts).Where(filter => filter.IsOn).Select(filter => filter.Filter)];

    public override string ToString() => $"{(IsOn ? "" : "-")}{Filter.Field}~{Operators.First(one => one.Operator == Filter.Operator).Code}~{Filter.Value}";

    private static FilterText? Parse(string text)
    {
        var parts = text.TrimStart('-').Split('~', 3);
        return parts.Length == 3 && Operators.FirstOrDefault(one => one.Code == parts[1]) is { Code: not null } known
            ? new(new FieldFilter(parts[0], known.Operator, parts[2]), !text.StartsWith('-'))
            : null;
    }
}
