using System.ComponentModel.DataAnnotations;
using MobileIntegration.ServiceDefaults;

namespace Gateway;

/// <summary>Configuration section <c>Idempotency</c>.</summary>
internal sealed class IdempotencyOptions
{
    /// <summary>Hours that an answer is kept for retries; 1 to 720, 24 unless set.</summary>
    [Range(1, 720, ErrorMessage = "Idempotency:KeepHours must be from 1 to 720.")]
    public int KeepHours { get; set; } = 24;

    /// <summary>
    /// Seconds after which a call whose gateway died may be made again; more than <see cref="ServiceLimits.RequestSeconds"/>, within which a
    /// gateway that lives has ended it, to 3600. 20 more than that unless set.
    /// </summary>
    [Range(2, 3600, ErrorMessage = "Idempotency:LeaseSeconds must be from 2 to 3600.")]
    public int? LeaseSeconds { get; set; }
}
