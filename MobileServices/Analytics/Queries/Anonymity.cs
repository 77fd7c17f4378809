namespace MobileServices.Analytics.Queries;

/// <summary>k-anonymity: nothing is told of a group of fewer people than the threshold, not even by what is missing in the sum of the others.</summary>
internal static class Anonymity
{
    public const string Others = "(other)";

    /// <summary>
    /// Groups that are too small, and those beyond <paramref name="most"/>, are put together. Together they may still be too few: then the next smallest goes with
    /// them, since whoever knows the total could tell.
    /// </summary>
    public static IReadOnlyList<Group> Fold(IReadOnlyList<Group> groups, int smallest, int most)
    {
        var told = groups.Where(group => group.People >= smallest).OrderByDescending(group => group.Events).ThenBy(group => group.Value, StringComparer.Ordinal).ToList();
        List<Group> folded = [.. groups.Where(group => group.People < smallest)];
        if (told.Count > most)
        {
            folded.AddRange(told[most..]);
            told.RemoveRange(most, told.Count - most);
        }
        // People who are in several groups count once, so the largest group is all that is sure.
        while (folded.Count > 0 && folded.Max(group => group.People) < smallest && told.Count > 0)
        {
            folded.Add(told[^1]);
            told.RemoveAt(told.Count - 1);
        }
        if (folded.Count > 0 && folded.Max(group => group.People) >= smallest)
        {
            told.Add(new(Others, folded.Sum(group => group.Events), -1));
        }
        return told;
    }

    /// <returns>Null for a number of people that is too small to be told; none is no group.</returns>
    public static long? People(long people, int smallest) => people is 0 || people >= smallest ? people : null;
}
