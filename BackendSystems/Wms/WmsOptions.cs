using System.ComponentModel.DataAnnotations;

namespace BackendSystems.Wms;

/// <summary>Configuration section <c>Wms</c>.</summary>
internal sealed class WmsOptions : IValidatableObject
{
    /// <summary>The folder where files of stock movements are dropped, absolute; made when it is missing. Unset or empty: no files are written.</summary>
    public string? DropFolder { get; set; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (DropFolder is { Length: > 0 } && !Path.IsPathFullyQualified(DropFolder))
        {
            yield return new("Wms:DropFolder must be an absolute path, or unset for no files.");
        }
    }
}
