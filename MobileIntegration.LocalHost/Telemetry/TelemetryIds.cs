using System.Buffers.Binary;
using System.Globalization;

namespace MobileIntegration.LocalHost.Telemetry;

/// <summary>A W3C trace id, 16 bytes; written as 32 hex digits.</summary>
public readonly record struct TraceId(ulong High, ulong Low)
{
    public bool IsEmpty => (High | Low) == 0;

    /// <summary>Empty unless there are 16 bytes that are not all zero.</summary>
    public static TraceId From(ReadOnlySpan<byte> bytes) => bytes.Length == 16
        ? new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]))
        : default;

    public static bool TryParse(string? text, out TraceId id)
    {
        id = default;
        if (text?.Length != 32 ||
            !ulong.TryParse(text.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var high) ||
            !ulong.TryParse(text.AsSpan(16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var low))
        {
            return false;
        }

        id = new(high, low);
        return !id.IsEmpty;
    }

    public override string ToString() => IsEmpty ? "" : High.ToString("x16", CultureInfo.InvariantCulture) + Low.ToString("x16", CultureInfo.InvariantCulture);

    public byte[] ToBytes()
    {
        var bytes = new byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, High);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(8), Low);
        return bytes;
    }
}

/// <summary>A W3C span id, 8 bytes; written as 16 hex digits.</summary>
public readonly record struct SpanId(ulong Value)
{
    public bool IsEmpty => Value == 0;

    /// <summary>Empty unless there are 8 bytes that are not all zero.</summary>
    public static SpanId From(ReadOnlySpan<byte> bytes) => bytes.Length == 8 ? new(BinaryPrimitives.ReadUInt64BigEndian(bytes)) : default;

    public static bool TryParse(string? text, out SpanId id)
    {
        var parsed = ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) && text?.Length == 16;
        id = parsed ? new(value) : default;
        return !id.IsEmpty;
    }

    public override string ToString() => IsEmpty ? "" : Value.ToString("x16", CultureInfo.InvariantCulture);

    public byte[] ToBytes()
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, Value);
        return bytes;
    }
}
