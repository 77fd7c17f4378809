using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Primitives;

namespace Gateway;

/// <summary>
/// API keys: 256 random bits after <c>mik_</c>. Nobody can guess among as many, so one SHA-256 at rest is as good as a slow hash, which is for
/// passwords, and can be taken at every call.
/// </summary>
internal static class ApiKeys
{
    public const string Header = "X-Api-Key";

    private const string Mark = "mik_";
    private const int Length = 4 + 43;

    /// <summary>What is kept in the clear, so that a person recognizes a key; 48 of its bits.</summary>
    private const int PrefixLength = 4 + 8;

    private static readonly SearchValues<char> Letters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    public static string Create() => Mark + System.Buffers.Text.Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    public static string PrefixOf(string key) => key[..PrefixLength];

    /// <returns>Null when the header holds no key.</returns>
    public static KeyHash? Read(StringValues header) =>
        header.Count is 1 && header[0] is { Length: Length } key && key.StartsWith(Mark, StringComparison.Ordinal)
        && !key.AsSpan(Mark.Length).ContainsAnyExcept(Letters)
            ? Hash(key)
            : null;

    public static KeyHash Hash(string key)
    {
        Span<byte> ascii = stackalloc byte[Length];
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        Encoding.ASCII.GetBytes(key, ascii);
        SHA256.HashData(ascii, hash);
        return KeyHash.From(hash);
    }
}

/// <summary>A SHA-256 to look up by. That a look-up takes its time tells nobody anything of a key, only of its hash.</summary>
internal readonly record struct KeyHash(ulong First, ulong Second, ulong Third, ulong Fourth)
{
    public static KeyHash From(ReadOnlySpan<byte> hash) => new(
        BinaryPrimitives.ReadUInt64BigEndian(hash), BinaryPrimitives.ReadUInt64BigEndian(hash[8..]),
        BinaryPrimitives.ReadUInt64BigEndian(hash[16..]), BinaryPrimitives.ReadUInt64BigEndian(hash[24..]));

    public byte[] ToBytes()
    {
        var bytes = new byte[SHA256.HashSizeInBytes];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, First);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(8), Second);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(16), Third);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(24), Fourth);
        return bytes;
    }
}
