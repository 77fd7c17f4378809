using System.Globalization;

namespace IntegrationServices.Reads;

/// <summary>A cursor into changes: the time of the last one that was told, and its id.</summary>
internal static class ChangeCursor
{
    public static string Write(string list, DateTimeOffset at, string id) => Cursor.Write(list, at.UtcTicks.ToString(CultureInfo.InvariantCulture), id);

    /// <summary>Null is the beginning.</summary>
    /// <param name="id">To be checked like any other.</param>
    public static bool TryRead(string? cursor, string list, out DateTimeOffset at, out string id)
    {
        at = DateTimeOffset.UnixEpoch;
        id = "";
        if (cursor is null)
        {
            return true;
        }
        if (!Cursor.TryRead(cursor, list, 2, out var position) || !long.TryParse(position[0], NumberStyles.None, CultureInfo.InvariantCulture, out var ticks)
            || ticks > DateTimeOffset.MaxValue.UtcTicks)
        {
            return false;
        }
        at = new(ticks, TimeSpan.Zero);
        id = position[1];
        return true;
    }
}
