using System.Buffers.Binary;
using System.Text.Json;
using MobileServices.Sync.Queries;

namespace MobileServices.Sync.Indexes;

/// <summary>
/// JSON values as bytes that compare as <see cref="Collation"/> compares the values. No code is the beginning of another, so codes may follow each other.
/// </summary>
internal sealed class KeyCode
{
    /// <summary>Behind a code: after all that begin with it.</summary>
    public const byte After = 0xFF;

    private const byte End = 0x00;
    private const byte Member = 0x01;
    private const byte FirstRank = 0x02;

    private readonly List<byte> _bytes = [];

    public static byte[] Of(params ReadOnlySpan<JsonElement> values)
    {
        var code = new KeyCode();
        foreach (var value in values)
        {
            code.Add(value);
        }
        return [.. code._bytes];
    }

    /// <summary>What the codes of all texts that begin so begin with.</summary>
    public static byte[] BeginningOf(string text)
    {
        var code = new KeyCode();
        code.Rank(JsonValueKind.String);
        code.Units(text);
        return [.. code._bytes];
    }

    private void Add(JsonElement value)
    {
        Rank(value.ValueKind);
        switch (value.ValueKind)
        {
            case JsonValueKind.Number:
                var (number, rest) = Collation.NumberOf(value);
                Number(number);
                Number(rest);
                break;
            case JsonValueKind.String:
                Units(Collation.TextOf(value));
                _bytes.Add(End);
                break;
            case JsonValueKind.Array:
                foreach (var item in value.EnumerateArray())
                {
                    Add(item);
                }
                _bytes.Add(End);
                break;
            case JsonValueKind.Object:
                foreach (var member in value.EnumerateObject().OrderBy(Collation.MemberOf, StringComparer.Ordinal))
                {
                    _bytes.Add(Member);
                    Units(Collation.MemberOf(member));
                    _bytes.Add(End);
                    Add(member.Value);
                }
                _bytes.Add(End);
                break;
        }
    }

    private void Rank(JsonValueKind kind) => _bytes.Add((byte)(FirstRank + Collation.RankOf(kind)));

    private void Number(double number)
    {
        // No number is below another by its sign alone.
        var bits = BitConverter.DoubleToInt64Bits(number is 0 ? 0 : number);
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteInt64BigEndian(bytes, bits < 0 ? ~bits : bits ^ long.MinValue);
        _bytes.AddRange(bytes);
    }

    /// <summary>Code units, each as UTF-8 would write it: the order stays, and 0 is free for the end.</summary>
    private void Units(string text)
    {
        foreach (var unit in text)
        {
            if (unit < 0x80)
            {
                _bytes.Add((byte)(unit + 1));
                continue;
            }
            if (unit < 0x800)
            {
                _bytes.Add((byte)(0xC0 | (unit >> 6)));
            }
            else
            {
                _bytes.Add((byte)(0xE0 | (unit >> 12)));
                _bytes.Add((byte)(0x80 | ((unit >> 6) & 0x3F)));
            }
            _bytes.Add((byte)(0x80 | (unit & 0x3F)));
        }
    }
}
