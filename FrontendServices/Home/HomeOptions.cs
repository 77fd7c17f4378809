using System.ComponentModel.DataAnnotations;

namespace FrontendServices.Home;

/// <summary>Settings of the home page; configuration section <c>Home</c>.</summary>
internal sealed class HomeOptions
{
    /// <summary>Orders shown; 1 to 20, 5 unless set.</summary>
    [Range(1, 20, ErrorMessage = "Home:Orders must be from 1 to 20.")]
    public int Orders { get; set; } = 5;

    /// <summary>Products suggested; 1 to 50, 6 unless set.</summary>
    [Range(1, 50, ErrorMessage = "Home:Suggestions must be from 1 to 50.")]
    public int Suggestions { get; set; } = 6;

    /// <summary>Nearest stores named for each suggested product; 1 to 10, 3 unless set.</summary>
    [Range(1, 10, ErrorMessage = "Home:Stores must be from 1 to 10.")]
    public int Stores { get; set; } = 3;

    /// <summary>How long the choice of suggested products is kept, so that their stock can be asked for at once; 1 to 3600 s, 60 unless set.</summary>
    [Range(1, 3600, ErrorMessage = "Home:SuggestionsSeconds must be from 1 to 3600.")]
    public int SuggestionsSeconds { get; set; } = 60;
}
