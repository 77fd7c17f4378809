using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace IntegrationServices.Reads;

/// <summary>
/// Where a list goes on: opaque to callers, and good only for the list it came from. A checksum finds what was cut, mixed up or made up by accident; what a cursor
/// says is checked like any other input.
/// </summary>
internal static class Cursor
{
    private const int ChecksumBytes = 6;
    private const int Longest = 400;
    private const char Separator = '\n';

    /// <param name="list">The list with all that selects and orders it.</param>
    /// <param name="position">Of the last item.</param>
    public static string Write(string list, params ReadOnlySpan<string> position)
    {
        var text = Encoding.UTF8.GetBytes(string.Join(Separator, position));
        return Base64Url.EncodeToString([.. Checksum(list, text), .. text]);
    }

    /// <returns>False when it is not one of this list's.</returns>
    public static bool TryRead(string? cursor, string list, int parts, out string[] position)
    {
        position = [];
        if (cursor is null || cursor.Length > Longest || !Base64Url.IsValid(cursor))
        {
            return false;
        }
        var bytes = Base64Url.DecodeFromChars(cursor);
        if (bytes.Length <= ChecksumBytes || !bytes.AsSpan(0, ChecksumBytes).SequenceEqual(Checksum(list, bytes.AsSpan(ChecksumBytes))))
        {
            return false;
        }
        position = Encoding.UTF8.GetString(bytes.AsSpan(ChecksumBytes)).Split(Separator);
        return position.Length == parts;
    }

    private static byte[] Checksum(string list, ReadOnlySpan<byte> text) =>
        SHA256.HashData([.. Encoding.UTF8.GetBytes(list), 0, .. text])[..ChecksumBytes];
}
