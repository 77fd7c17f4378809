namespace MobileIntegration.Contracts;

/// <summary>A part of a list.</summary>
/// <param name="Next">The cursor of what follows; null at the end. Good for the same query only.</param>
public sealed record Page<T>(IReadOnlyList<T> Items, string? Next);

/// <summary>What changed in a list since a cursor, oldest change first.</summary>
/// <param name="Since">The cursor to ask with next time.</param>
/// <param name="More">There is more already: ask again at once.</param>
public sealed record Delta<T>(IReadOnlyList<T> Changed, string Since, bool More);
