using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Encodings.Web;

namespace MobileServices.Sync;

/// <summary>JSON on its way to a client, with documents copied in as they stand in the database.</summary>
internal sealed class JsonOut(HttpResponse? response = null)
{
    private const int Enough = 32_768;
    private const int Least = 1024;

    /// <summary>Stands in a text as it is.</summary>
    private static readonly SearchValues<char> Plain = SearchValues.Create([.. Enumerable.Range(' ', '~' - ' ' + 1).Select(code => (char)code).Except(['"', '\\'])]);

    /// <summary>Only while there is something in it: a feed that waits holds none.</summary>
    private byte[] _bytes = [];
    private int _length;

    /// <summary>Of many answers, and of the beginning of every feed, there is little; of one that went on once there is more to come.</summary>
    private int _least = Least;

    public ReadOnlyMemory<byte> Written => _bytes.AsMemory(0, _length);

    public void Raw(ReadOnlySpan<byte> json)
    {
        json.CopyTo(Room(json.Length));
        _length += json.Length;
    }

    public void Raw(string json) => _length += Encoding.UTF8.GetBytes(json, Room(Encoding.UTF8.GetMaxByteCount(json.Length)));

    public void Number(long value)
    {
        Utf8Formatter.TryFormat(value, Room(20), out var written);
        _length += written;
    }

    public void Flag(bool value) => Raw(value ? "true"u8 : "false"u8);

    public void Text(string value)
    {
        Raw("\""u8);
        Raw(value.AsSpan().ContainsAnyExcept(Plain) ? JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(value) : value);
        Raw("\""u8);
    }

    public void Base64(ReadOnlySpan<byte> bytes)
    {
        System.Buffers.Text.Base64.EncodeToUtf8(bytes, Room(System.Buffers.Text.Base64.GetMaxEncodedToUtf8Length(bytes.Length)), out _, out var written);
        _length += written;
    }

    /// <summary>Sends what is there once it is worth a packet.</summary>
    public ValueTask SendSomeAsync(CancellationToken ct)
    {
        if (_length < Enough)
        {
            return ValueTask.CompletedTask;
        }
        _least = 2 * Enough;
        return new(SendAsync(ct));
    }

    public async Task SendAsync(CancellationToken ct)
    {
        if (_length > 0)
        {
            await response!.Body.WriteAsync(Written, ct);
            ArrayPool<byte>.Shared.Return(_bytes);
            (_bytes, _length) = ([], 0);
        }
    }

    /// <summary>Sends all of it now, however little it is.</summary>
    public async Task FlushAsync(CancellationToken ct)
    {
        await SendAsync(ct);
        await response!.Body.FlushAsync(ct);
    }

    private Span<byte> Room(int bytes)
    {
        if (_bytes.Length - _length < bytes)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_length + bytes, Math.Max(_least, 2 * _length)));
            Written.Span.CopyTo(larger);
            if (_bytes.Length > 0)
            {
                ArrayPool<byte>.Shared.Return(_bytes);
            }
            _bytes = larger;
        }
        return _bytes.AsSpan(_length);
    }
}
