using System.ComponentModel.DataAnnotations;

namespace FrontendServices.Sections;

/// <summary>How long what a screen shows is kept in this process; configuration section <c>Sections</c>.</summary>
internal sealed class SectionsOptions
{
    /// <summary>How old a section may be and still count as fresh; 0 (asked for every time) to 300 s, 5 unless set.</summary>
    [Range(0, 300, ErrorMessage = "Sections:FreshSeconds must be from 0 to 300.")]
    public double FreshSeconds { get; set; } = 5;

    /// <summary>How old a section may be to stand in for one that failed; 0 (none does) to 86400 s, 600 unless set.</summary>
    [Range(0, 86_400, ErrorMessage = "Sections:StaleSeconds must be from 0 to 86400.")]
    public double StaleSeconds { get; set; } = 600;

    /// <summary>How much of them is kept, the least used going first; 1 to 4096 MB, 64 unless set.</summary>
    [Range(1, 4096, ErrorMessage = "Sections:CacheMegabytes must be from 1 to 4096.")]
    public int CacheMegabytes { get; set; } = 64;
}
