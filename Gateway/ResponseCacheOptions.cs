using System.ComponentModel.DataAnnotations;

namespace Gateway;

/// <summary>Answers that services mark as cacheable; configuration section <c>ResponseCache</c>.</summary>
internal sealed class ResponseCacheOptions
{
    /// <summary>Whether answers are kept at all. True unless set.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>The largest body that is kept, in bytes; 1 KiB to 16 MiB, 1 MiB unless set.</summary>
    [Range(1024, 16_777_216, ErrorMessage = "ResponseCache:BodyBytes must be from 1024 to 16777216.")]
    public long BodyBytes { get; set; } = 1_048_576;

    /// <summary>Without Redis, the memory of one gateway for all bodies, in MiB; 1 to 4096, 64 unless set.</summary>
    [Range(1, 4096, ErrorMessage = "ResponseCache:MemoryMegabytes must be from 1 to 4096.")]
    public int MemoryMegabytes { get; set; } = 64;
}
