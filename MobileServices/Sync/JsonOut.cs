using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Encodings.Web;

namespace MobileServices.Sync;

/// <summary>JSON on its way to a client, with documents copied in as they stand in the database.</summary>
internal sealed class JsonOut(HttpResponse? response = null)
{
    private const int Enough = 32_768;

    private readonly ArrayBufferWriter<byte> _buffer = new(4096);

    public ReadOnlyMemory<byte> Written => _buffer.WrittenMemory;

    public void Raw(ReadOnlySpan<byte> json) => _buffer.Write(json);

    public void Raw(string json) => Encoding.UTF8.GetBytes(json, _buffer);

    public void Number(long value)
    {
        Utf8Formatter.TryFormat(value, _buffer.GetSpan(20), out var written);
        _buffer.Advance(written);
    }

    public void Flag(bool value) => Raw(value ? "true"u8 : "false"u8);

    public void Text(string value)
    {
        Raw("\""u8);
        var encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        var plain = true;
        foreach (var character in value)
        {
            if (character is < ' ' or > '~' or '"' or '\\')
            {
                plain = false;
                break;
            }
        }
        Encoding.UTF8.GetBytes(plain ? value : encoder.Encode(value), _buffer);
        Raw("\""u8);
    }

    public void Base64(ReadOnlySpan<byte> bytes)
    {
        Base64Encode(bytes, _buffer);
    }

    /// <summary>Sends what is there once it is worth a packet.</summary>
    public ValueTask SendSomeAsync(CancellationToken ct) => _buffer.WrittenCount < Enough ? ValueTask.CompletedTask : new(SendAsync(ct));

    public async Task SendAsync(CancellationToken ct)
    {
        if (_buffer.WrittenCount > 0)
        {
            await response!.Body.WriteAsync(_buffer.WrittenMemory, ct);
            _buffer.ResetWrittenCount();
        }
    }

    /// <summary>Sends all of it now, however little it is.</summary>
    public async Task FlushAsync(CancellationToken ct)
    {
        await SendAsync(ct);
        await response!.Body.FlushAsync(ct);
    }

    private static void Base64Encode(ReadOnlySpan<byte> bytes, ArrayBufferWriter<byte> buffer)
    {
        System.Buffers.Text.Base64.EncodeToUtf8(bytes, buffer.GetSpan(System.Buffers.Text.Base64.GetMaxEncodedToUtf8Length(bytes.Length)), out _, out var written);
        buffer.Advance(written);
    }
}
