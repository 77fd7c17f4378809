using System.ComponentModel.DataAnnotations;

namespace MobileServices.Devices;

/// <summary>Configuration section <c>Devices</c>.</summary>
internal sealed class DevicesOptions
{
    /// <summary>Who signs decisions: their claim <c>iss</c>; <c>mobile-devices</c> unless set.</summary>
    [Required(AllowEmptyStrings = false, ErrorMessage = "Devices:Issuer must not be empty.")]
    public string Issuer { get; set; } = "mobile-devices";

    /// <summary>Minutes for which an app may go by a signed decision; 1 to 1440, 60 unless set.</summary>
    [Range(1, 1440, ErrorMessage = "Devices:DecisionMinutes must be from 1 to 1440.")]
    public int DecisionMinutes { get; set; } = 60;

    /// <summary>Days for which a key signs decisions; 2 to 365, 30 unless set. Its successor is published a day ahead.</summary>
    [Range(2, 365, ErrorMessage = "Devices:KeyDays must be from 2 to 365.")]
    public int KeyDays { get; set; } = 30;

    /// <summary>Whether installations must register a key, and so sign their registrations (header <c>DPoP</c>); false unless set.</summary>
    public bool RequireKeys { get; set; }

    /// <summary>How many devices may be blocked at a time, since every gateway keeps them in memory; 1 to 1,000,000, 100,000 unless set.</summary>
    [Range(1, 1_000_000, ErrorMessage = "Devices:MostBlockedDevices must be from 1 to 1000000.")]
    public int MostBlockedDevices { get; set; } = 100_000;
}
