namespace MobileServices.Sync.Merging;

/// <summary>Merges two texts with their common ancestor line by line.</summary>
internal static class TextMerge
{
    /// <summary>Beyond this many pairs of lines a text is taken as changed from its first to its last different line.</summary>
    private const long MostCells = 4_000_000;

    /// <summary>Lines that both sides left stand; where one side changed some, its lines; where both did, the winner's and then the other's, unless they are the same.</summary>
    public static string Merge(string ancestor, string winner, string loser)
    {
        var (before, mine, theirs) = (ancestor.Split('\n'), winner.Split('\n'), loser.Split('\n'));
        var (kept, otherKept) = (Matches(before, mine), Matches(before, theirs));
        var merged = new List<string>();
        var (at, mineAt, theirsAt) = (0, 0, 0);
        for (var line = 0; line <= before.Length; line++)
        {
            if (line < before.Length && (kept[line] < 0 || otherKept[line] < 0))
            {
                continue;
            }
            // Up to a line that both have.
            var (mineTo, theirsTo) = line < before.Length ? (kept[line], otherKept[line]) : (mine.Length, theirs.Length);
            Add(merged, before.AsSpan(at..line), mine.AsSpan(mineAt..mineTo), theirs.AsSpan(theirsAt..theirsTo));
            if (line < before.Length)
            {
                merged.Add(before[line]);
            }
            (at, mineAt, theirsAt) = (line + 1, mineTo + 1, theirsTo + 1);
        }
        return string.Join('\n', merged);
    }

    private static void Add(List<string> merged, ReadOnlySpan<string> before, ReadOnlySpan<string> mine, ReadOnlySpan<string> theirs)
    {
        var isChanged = !mine.SequenceEqual(before);
        if (isChanged || theirs.SequenceEqual(before))
        {
            merged.AddRange(mine);
        }
        if (!theirs.SequenceEqual(before) && !theirs.SequenceEqual(mine))
        {
            merged.AddRange(theirs);
        }
    }

    /// <summary>For each line of the ancestor where it stands in the other text, by a longest common subsequence; -1 where it does not.</summary>
    private static int[] Matches(string[] before, string[] after)
    {
        var matches = new int[before.Length];
        Array.Fill(matches, -1);
        var from = 0;
        while (from < before.Length && from < after.Length && before[from] == after[from])
        {
            matches[from] = from;
            from++;
        }
        var (end, afterEnd) = (before.Length, after.Length);
        while (end > from && afterEnd > from && before[end - 1] == after[afterEnd - 1])
        {
            matches[--end] = --afterEnd;
        }
        if ((long)(end - from) * (afterEnd - from) is 0 or > MostCells)
        {
            return matches;
        }
        var lengths = new int[end - from + 1, afterEnd - from + 1];
        for (var i = end - 1; i >= from; i--)
        {
            for (var j = afterEnd - 1; j >= from; j--)
            {
                lengths[i - from, j - from] = before[i] == after[j]
                    ? lengths[i - from + 1, j - from + 1] + 1
                    : Math.Max(lengths[i - from + 1, j - from], lengths[i - from, j - from + 1]);
            }
        }
        for (var (i, j) = (from, from); i < end && j < afterEnd;)
        {
            if (before[i] == after[j])
            {
                matches[i++] = j++;
            }
            else if (lengths[i - from + 1, j - from] >= lengths[i - from, j - from + 1])
            {
                i++;
            }
            else
            {
                j++;
            }
        }
        return matches;
    }
}
