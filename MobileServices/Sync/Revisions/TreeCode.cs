using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace MobileServices.Sync.Revisions;

/// <summary>
/// A tree as bytes, 17 a revision in most cases: flags; the generation of a root, or how far back the parent stands when it is not the one before; the
/// hash, 16 bytes or its length and text. A version number comes first.
/// </summary>
internal static class TreeCode
{
    private const byte Version = 1;
    private const byte Deleted = 1;
    private const byte HasText = 2;
    private const byte Root = 4;
    private const byte AfterParent = 8;

    public static byte[] Write(List<RevisionTree.Node> nodes)
    {
        var buffer = new ArrayBufferWriter<byte>(1 + (nodes.Count * 18));
        Put(buffer, Version);
        for (var index = 0; index < nodes.Count; index++)
        {
            var (rev, parent, deleted) = nodes[index];
            var flags = (deleted ? Deleted : 0) | (rev.Text is not null ? HasText : 0) | (parent < 0 ? Root : parent == index - 1 ? AfterParent : 0);
            Put(buffer, (byte)flags);
            if (parent < 0)
            {
                PutNumber(buffer, rev.Generation);
            }
            else if (parent != index - 1)
            {
                PutNumber(buffer, index - parent);
            }
            if (rev.Text is { } text)
            {
                PutNumber(buffer, text.Length);
                Encoding.ASCII.GetBytes(text, buffer);
            }
            else
            {
                BinaryPrimitives.WriteUInt128BigEndian(buffer.GetSpan(16), rev.Digest);
                buffer.Advance(16);
            }
        }
        return buffer.WrittenSpan.ToArray();
    }

    public static List<RevisionTree.Node> Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length is 0 || bytes[0] is not Version)
        {
            throw new InvalidDataException("A revision tree in the table sync.document cannot be read: it is of another version of this service.");
        }
        bytes = bytes[1..];
        var nodes = new List<RevisionTree.Node>((bytes.Length / 17) + 1);
        while (bytes.Length > 0)
        {
            var flags = bytes[0];
            bytes = bytes[1..];
            var parent = -1;
            int generation;
            if ((flags & Root) is not 0)
            {
                generation = TakeNumber(ref bytes);
            }
            else
            {
                parent = (flags & AfterParent) is not 0 ? nodes.Count - 1 : nodes.Count - TakeNumber(ref bytes);
                generation = nodes[parent].Rev.Generation + 1;
            }
            Rev rev;
            if ((flags & HasText) is not 0)
            {
                var length = TakeNumber(ref bytes);
                rev = Rev.Of(generation, Encoding.ASCII.GetString(bytes[..length]));
                bytes = bytes[length..];
            }
            else
            {
                rev = Rev.Of(generation, bytes[..16]);
                bytes = bytes[16..];
            }
            nodes.Add(new(rev, parent, (flags & Deleted) is not 0));
        }
        return nodes;
    }

    private static void Put(ArrayBufferWriter<byte> buffer, byte value)
    {
        buffer.GetSpan(1)[0] = value;
        buffer.Advance(1);
    }

    private static void PutNumber(ArrayBufferWriter<byte> buffer, int value)
    {
        var rest = (uint)value;
        for (; rest >= 0x80; rest >>= 7)
        {
            Put(buffer, (byte)(rest | 0x80));
        }
        Put(buffer, (byte)rest);
    }

    private static int TakeNumber(ref ReadOnlySpan<byte> bytes)
    {
        var value = 0u;
        for (var shift = 0; ; shift += 7)
        {
            var next = bytes[0];
            bytes = bytes[1..];
            value |= (uint)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return (int)value;
            }
        }
    }
}
