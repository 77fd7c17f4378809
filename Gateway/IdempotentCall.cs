using System.Buffers;
using System.Buffers.Binary;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;

namespace Gateway;

/// <summary>A call by what makes another one its retry.</summary>
/// <param name="Id">Hash of who called what with which key.</param>
/// <param name="Fingerprint">Hash of what was sent.</param>
internal sealed record IdempotentCall(byte[] Id, byte[] Fingerprint)
{
    private const int InMemory = 1 << 20;

    /// <summary>Who called; null for a call without a token.</summary>
    public static string[]? CallerOf(ClaimsPrincipal user)
    {
        var client = (user.FindFirst("client_id") ?? user.FindFirst("azp"))?.Value;
        var subject = user.FindFirst("sub")?.Value;
        return client is null && subject is null ? null : [client ?? "", subject ?? ""];
    }

    /// <summary>Reads the body, which can be read again afterwards.</summary>
    public static async Task<IdempotentCall> ReadAsync(HttpRequest request, string[] caller, string key, CancellationToken ct)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var part in (string[])[.. caller, request.Method, request.Path.Value ?? "", key])
        {
            Append(hash, part);
        }
        var id = hash.GetHashAndReset();

        Append(hash, request.ContentType ?? "");
        Append(hash, request.QueryString.Value ?? "");
        request.EnableBuffering(InMemory);
        var buffer = ArrayPool<byte>.Shared.Rent(1 << 14);
        try
        {
            while (await request.Body.ReadAsync(buffer, ct) is > 0 and var read)
            {
                hash.AppendData(buffer, 0, read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        request.Body.Position = 0;
        return new(id, hash.GetHashAndReset());
    }

    /// <summary>With its length, so that no two lists of parts are the same bytes.</summary>
    private static void Append(IncrementalHash hash, string part)
    {
        var bytes = Encoding.UTF8.GetBytes(part);
        Span<byte> length = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32BigEndian(length, bytes.Length);
        hash.AppendData(length);
        hash.AppendData(bytes);
    }
}
