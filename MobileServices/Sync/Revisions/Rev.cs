using System.Buffers.Binary;
using System.Globalization;

namespace MobileServices.Sync.Revisions;

/// <summary>A revision id, such as <c>3-917fa2381192822767f010b95b45325b</c>. Of two with the same generation the greater hash wins, byte by byte.</summary>
internal readonly struct Rev : IEquatable<Rev>, IComparable<Rev>
{
    public const int LongestHash = 200;
    public const int MostGenerations = 1_000_000_000;

    /// <summary>Of 32 lower-case hexadecimal digits, as nearly all are.</summary>
    private readonly UInt128 _digest;

    /// <summary>Any other.</summary>
    private readonly string? _text;

    public Rev(int generation, UInt128 digest)
    {
        Generation = generation;
        _digest = digest;
    }

    private Rev(int generation, string text)
    {
        Generation = generation;
        _text = text;
    }

    public int Generation { get; }

    public UInt128 Digest => _digest;

    public string? Text => _text;

    public string Hash => _text ?? _digest.ToString("x32", CultureInfo.InvariantCulture);

    public static bool operator ==(Rev left, Rev right) => left.Equals(right);

    public static bool operator !=(Rev left, Rev right) => !left.Equals(right);

    public static Rev Of(int generation, ReadOnlySpan<char> hash)
    {
        if (hash.Length is 32 && IsLowerHex(hash))
        {
            return new(generation, UInt128.Parse(hash, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
        }
        return new(generation, hash.ToString());
    }

    public static Rev Of(int generation, ReadOnlySpan<byte> md5) => new(generation, BinaryPrimitives.ReadUInt128BigEndian(md5));

    public static bool TryParse(ReadOnlySpan<char> text, out Rev rev)
    {
        rev = default;
        var dash = text.IndexOf('-');
        if (dash <= 0 || dash > 10 || dash == text.Length - 1 || !int.TryParse(text[..dash], NumberStyles.None, CultureInfo.InvariantCulture, out var generation)
            || generation is < 1 or > MostGenerations || !IsHash(text[(dash + 1)..]))
        {
            return false;
        }
        rev = Of(generation, text[(dash + 1)..]);
        return true;
    }

    /// <summary>Visible ASCII without what separates revisions in headers, queries and lists.</summary>
    public static bool IsHash(ReadOnlySpan<char> hash)
    {
        if (hash.Length is 0 or > LongestHash)
        {
            return false;
        }
        foreach (var character in hash)
        {
            if (character is <= ' ' or > '~' or '"' or ',' or '!' or '\\')
            {
                return false;
            }
        }
        return true;
    }

    public int CompareTo(Rev other)
    {
        var order = Generation.CompareTo(other.Generation);
        return order is not 0 ? order
            : _text is null && other._text is null ? _digest.CompareTo(other._digest)
            : string.CompareOrdinal(Hash, other.Hash);
    }

    public bool Equals(Rev other) => Generation == other.Generation && _digest == other._digest && _text == other._text;

    public override bool Equals(object? obj) => obj is Rev other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(Generation, _digest, _text);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Generation}-{Hash}");

    private static bool IsLowerHex(ReadOnlySpan<char> hash)
    {
        foreach (var character in hash)
        {
            if (!char.IsAsciiHexDigitLower(character))
            {
                return false;
            }
        }
        return true;
    }
}
