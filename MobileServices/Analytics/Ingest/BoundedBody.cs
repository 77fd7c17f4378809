using System.IO.Compression;

namespace MobileServices.Analytics.Ingest;

/// <summary>A body that may be zipped, and is never more than is taken, however small it came.</summary>
internal static class BoundedBody
{
    public static bool IsZipped(HttpRequest request) => request.Headers.ContentEncoding.ToString().Equals("gzip", StringComparison.OrdinalIgnoreCase);

    /// <returns>How much there is, at most all of <paramref name="into"/>.</returns>
    /// <exception cref="InvalidDataException">It is not zipped, and says so.</exception>
    public static async Task<int> ReadAsync(HttpRequest request, Memory<byte> into, CancellationToken ct)
    {
        await using var unzipped = IsZipped(request) ? new GZipStream(request.Body, CompressionMode.Decompress, leaveOpen: true) : null;
        return await ((Stream?)unzipped ?? request.Body).ReadAtLeastAsync(into, into.Length, throwOnEndOfStream: false, ct);
    }

    /// <returns>Null when there are more than <paramref name="most"/> bytes.</returns>
    /// <inheritdoc cref="ReadAsync(HttpRequest, Memory{byte}, CancellationToken)"/>
    public static async Task<byte[]?> ReadAsync(HttpRequest request, int most, CancellationToken ct)
    {
        if (request.ContentLength > most)
        {
            return null;
        }
        var buffer = new byte[(IsZipped(request) ? most : (int)(request.ContentLength ?? most)) + 1];
        var length = await ReadAsync(request, buffer, ct);
        return length == buffer.Length ? null : buffer[..length];
    }
}
