using System.Buffers.Binary;
using System.Security.Cryptography;

namespace MobileServices.Push.Networks.WebPush;

/// <summary>Encryption from sender to device, which the push service cannot read (RFC 8291), in one record of the content coding aes128gcm (RFC 8188).</summary>
internal static class MessageEncryption
{
    private const int PointBytes = 65;
    private const int SaltBytes = 16;
    private const int TagBytes = 16;
    private const int HeaderBytes = SaltBytes + 4 + 1 + PointBytes;
    private const int RecordBytes = 4096;

    /// <summary>What fits into a body of 4096 bytes, the least that a push service has to take (RFC 8030, section 7.2): less the header, the delimiter and the tag.</summary>
    public const int LargestPlaintext = 4096 - HeaderBytes - 1 - TagBytes;

    /// <returns>Whether it is an uncompressed point on P-256.</returns>
    public static bool IsPoint(byte[] bytes)
    {
        if (bytes.Length is not PointBytes || bytes[0] is not 4)
        {
            return false;
        }
        try
        {
            using var key = Import(bytes);
            return true;
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    /// <param name="p256dh">The device's public key.</param>
    /// <param name="auth">The device's authentication secret.</param>
    /// <param name="step">The plaintext and its delimiter are padded to a multiple of so many bytes, so that the size tells little of it; 1 for no padding.</param>
    public static byte[] Encrypt(ReadOnlySpan<byte> plaintext, byte[] p256dh, byte[] auth, int step = 1)
    {
        using var ephemeral = ECDiffieHellman.Create(ECCurve.NamedCurves.nistP256);
        return Encrypt(plaintext, p256dh, auth, ephemeral, RandomNumberGenerator.GetBytes(SaltBytes), step);
    }

    /// <summary>With the key and the salt given, for the RFC's own example.</summary>
    internal static byte[] Encrypt(ReadOnlySpan<byte> plaintext, byte[] p256dh, byte[] auth, ECDiffieHellman ephemeral, byte[] salt, int step = 1)
    {
        using var device = Import(p256dh);
        var shared = ephemeral.DeriveRawSecretAgreement(device.PublicKey);
        var own = ephemeral.PublicKey.ExportParameters().Q;
        Span<byte> ownPoint = stackalloc byte[PointBytes];
        ownPoint[0] = 4;
        own.X.CopyTo(ownPoint[1..]);
        own.Y.CopyTo(ownPoint[33..]);

        Span<byte> info = stackalloc byte[14 + PointBytes + PointBytes];
        "WebPush: info\0"u8.CopyTo(info);
        p256dh.CopyTo(info[14..]);
        ownPoint.CopyTo(info[(14 + PointBytes)..]);
        Span<byte> secret = stackalloc byte[32];
        Span<byte> key = stackalloc byte[16];
        Span<byte> nonce = stackalloc byte[12];
        Span<byte> extracted = stackalloc byte[32];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, shared, secret, auth, info);
        HKDF.Extract(HashAlgorithmName.SHA256, secret, salt, extracted);
        HKDF.Expand(HashAlgorithmName.SHA256, extracted, key, "Content-Encoding: aes128gcm\0"u8);
        HKDF.Expand(HashAlgorithmName.SHA256, extracted, nonce, "Content-Encoding: nonce\0"u8);
        CryptographicOperations.ZeroMemory(shared);

        var padded = (plaintext.Length + step) / step * step;
        var message = new byte[HeaderBytes + padded + TagBytes];
        salt.CopyTo(message.AsSpan());
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(SaltBytes), RecordBytes);
        message[SaltBytes + 4] = PointBytes;
        ownPoint.CopyTo(message.AsSpan(SaltBytes + 5));
        var record = message.AsSpan(HeaderBytes, padded);
        plaintext.CopyTo(record);
        // The delimiter of the last record; the padding is zeros.
        record[plaintext.Length] = 2;
        using var cipher = new AesGcm(key, TagBytes);
        cipher.Encrypt(nonce, record, record, message.AsSpan(HeaderBytes + record.Length));
        CryptographicOperations.ZeroMemory(key);
        CryptographicOperations.ZeroMemory(secret);
        return message;
    }

    private static ECDiffieHellman Import(byte[] point) => ECDiffieHellman.Create(new ECParameters
    {
        Curve = ECCurve.NamedCurves.nistP256,
        Q = new() { X = point[1..33], Y = point[33..] },
    });
}
