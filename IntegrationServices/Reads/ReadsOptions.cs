using System.ComponentModel.DataAnnotations;

namespace IntegrationServices.Reads;

/// <summary>How long what a system answered is kept; configuration section <c>Reads</c> for all kinds, <c>Reads:{kind}</c> for one: customers, orders, products, stock, stores.</summary>
internal sealed class ReadsOptions
{
    /// <summary>How old an answer may be and count as fresh; 0 (the system is asked every time) to 3600 s. Unset: customers 10, orders 5, products 60, stock 2, stores 300.</summary>
    [Range(0, 3600, ErrorMessage = "Reads:*:FreshSeconds must be from 0 to 3600.")]
    public double FreshSeconds { get; set; }

    /// <summary>How old one may be that stands in for an answer that does not come; 0 (none does) to 86400 s. Unset: 3600, stock 600.</summary>
    [Range(0, 86_400, ErrorMessage = "Reads:*:StaleSeconds must be from 0 to 86400.")]
    public double StaleSeconds { get; set; }
}
