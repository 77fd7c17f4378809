using System.ComponentModel.DataAnnotations;

namespace IntegrationServices.Changes;

/// <summary>Where changes of the backend systems come from; configuration section <c>Changes</c>.</summary>
internal sealed class ChangesOptions : IValidatableObject
{
    /// <summary>Where the backend systems reach this service, such as <c>http://changes</c>: their webhooks are ordered to there. Unset or empty: none are.</summary>
    [Url(ErrorMessage = "Changes:Address must be an absolute http(s) address, or unset for no webhooks.")]
    public string? Address { get; set; }

    /// <summary>The folder where the Wms drops files of stock movements, absolute; made when it is missing. Unset or empty: no files are read.</summary>
    public string? DropFolder { get; set; }

    /// <summary>The time between two looks at the systems that can be asked what has changed; 0.1 to 3600 s, 30 unless set.</summary>
    [Range(0.1, 3600, ErrorMessage = "Changes:PollSeconds must be from 0.1 to 3600.")]
    public double PollSeconds { get; set; } = 30;

    /// <summary>How long a file in the drop folder must not have grown to be taken for whole; 0 to 600 s, 2 unless set.</summary>
    [Range(0, 600, ErrorMessage = "Changes:SettleSeconds must be from 0 to 600.")]
    public double SettleSeconds { get; set; } = 2;

    /// <summary>How far the time of a webhook may be from ours; 10 to 3600 s, 300 unless set.</summary>
    [Range(10, 3600, ErrorMessage = "Changes:ToleranceSeconds must be from 10 to 3600.")]
    public int ToleranceSeconds { get; set; } = 300;

    /// <summary>How long the ids of webhooks, finished files and what operators have ended are kept; 1 to 3650 days, 30 unless set.</summary>
    [Range(1, 3650, ErrorMessage = "Changes:KeepDays must be from 1 to 3650.")]
    public int KeepDays { get; set; } = 30;

    /// <summary>Queues on which systems report changes, by the system's name: crm, erp, pim or wms. Their messages are those of the system's webhooks.</summary>
    public Dictionary<string, QueueOptions> Queues { get; set; } = [];

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        foreach (var (system, queue) in Queues)
        {
            if (!BackendChange.Types.ContainsKey(system))
            {
                yield return new($"Changes:Queues:{system} is no system; there are {string.Join(", ", BackendChange.Types.Keys)}.");
            }
            foreach (var wrong in queue.Validate(validationContext))
            {
                yield return new($"Changes:Queues:{system}:{wrong.ErrorMessage}");
            }
        }
        if (DropFolder is { Length: > 0 } && !Path.IsPathFullyQualified(DropFolder))
        {
            yield return new("Changes:DropFolder must be an absolute path, or unset for no files.");
        }
    }
}
