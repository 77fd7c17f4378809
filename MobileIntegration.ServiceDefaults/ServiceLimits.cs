using System.ComponentModel.DataAnnotations;

namespace MobileIntegration.ServiceDefaults;

/// <summary>What one request may cost a service; configuration section <c>Limits</c>. An endpoint may set its own.</summary>
public sealed class ServiceLimits
{
    /// <summary>Seconds until a request is answered with 504 instead; 1 to 600, 30 unless set.</summary>
    [Range(1, 600, ErrorMessage = "Limits:RequestSeconds must be from 1 to 600.")]
    public int RequestSeconds { get; set; } = 30;

    /// <summary>The largest request body in bytes, larger ones are answered with 413; 1 KiB to 1 GiB, 1 MiB unless set.</summary>
    [Range(1024, 1073741824, ErrorMessage = "Limits:BodyBytes must be from 1024 to 1073741824.")]
    public long BodyBytes { get; set; } = 1_048_576;

    /// <summary>
    /// How many requests a process answers at once, more are answered with 503 and Retry-After; 1 to 100,000, 200 unless set. Not for the gateway,
    /// open streams and health checks.
    /// </summary>
    [Range(1, 100_000, ErrorMessage = "Limits:Concurrency must be from 1 to 100000.")]
    public int Concurrency { get; set; } = 200;
}
