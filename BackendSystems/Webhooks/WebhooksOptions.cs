using System.ComponentModel.DataAnnotations;

namespace BackendSystems.Webhooks;

/// <summary>Configuration section <c>Webhooks</c>.</summary>
internal sealed class WebhooksOptions
{
    /// <summary>Wait before the second attempt, doubled with every further one; 0.01 to 60 s, 1 s unless set.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00", ErrorMessage = "Webhooks:FirstRetry must be from 00:00:00.010 to 00:01:00.")]
    public TimeSpan FirstRetry { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest wait between two attempts; 1 s to 1 h, 10 min unless set.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00", ErrorMessage = "Webhooks:LongestRetry must be from 00:00:01 to 01:00:00.")]
    public TimeSpan LongestRetry { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>After this a delivery has failed; 1 min to 7 days, 24 h unless set.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "7.00:00:00", ErrorMessage = "Webhooks:GiveUpAfter must be from 00:01:00 to 7.00:00:00.")]
    public TimeSpan GiveUpAfter { get; set; } = TimeSpan.FromHours(24);

    /// <summary>True: http and addresses that are not public are allowed as targets. Unset: in Development only.</summary>
    public bool? AllowPrivateTargets { get; set; }
}
