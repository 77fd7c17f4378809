using System.Diagnostics.CodeAnalysis;

namespace IntegrationServices;

/// <summary>The forms of canonical ids, checked before any of them reaches a backend.</summary>
internal static class Ids
{
    /// <summary>The most records that one batch request may ask for.</summary>
    public const int MostAtOnce = 100;

    /// <summary><c>C-000123</c></summary>
    public static bool IsCustomer([NotNullWhen(true)] string? id) => id is { Length: 8 } && id.StartsWith("C-", StringComparison.Ordinal) && AllDigits(id.AsSpan(2));

    /// <summary><c>100042</c></summary>
    public static bool IsProduct([NotNullWhen(true)] string? id) => id is { Length: 6 } && AllDigits(id);

    /// <summary><c>4500001234</c></summary>
    public static bool IsOrder([NotNullWhen(true)] string? id) => id is { Length: 10 } && AllDigits(id);

    /// <summary><c>W07</c></summary>
    public static bool IsStore([NotNullWhen(true)] string? id) => id is ['W', ..] and { Length: 3 } && AllDigits(id.AsSpan(1));

    /// <summary><c>K07</c></summary>
    public static bool IsCategory([NotNullWhen(true)] string? id) => id is ['K', ..] and { Length: 3 } && AllDigits(id.AsSpan(1));

    /// <summary>Reads a comma list of ids; duplicates count once.</summary>
    /// <param name="error">What is wrong with it; null when nothing is.</param>
    public static IReadOnlyCollection<string> Parse(string? list, Predicate<string> isValid, string form, out string? error)
    {
        var ids = (list ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).ToHashSet(StringComparer.Ordinal);
        var wrong = ids.FirstOrDefault(id => !isValid(id));
        error = ids.Count is 0 ? $"Name 1 to {MostAtOnce} ids, separated by commas."
            : ids.Count > MostAtOnce ? $"Names {ids.Count} ids. Ask for {MostAtOnce} at most at a time."
            : wrong is not null ? $"'{(wrong.Length > 40 ? wrong[..40] + "..." : wrong)}' is not {form}."
            : null;
        return ids;
    }

    private static bool AllDigits(ReadOnlySpan<char> text) => !text.ContainsAnyExceptInRange('0', '9');
}
