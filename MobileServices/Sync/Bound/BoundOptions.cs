using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace MobileServices.Sync.Bound;

/// <summary>What a database of each user is bound to; section <c>Sync:Bound:{database}</c>.</summary>
internal sealed class BoundOptions
{
    /// <summary>There is one source: the orders of the user's customer.</summary>
    public const string Orders = "orders";

    public string Source { get; init; } = "";
}

/// <summary>How bound databases speak with the integration services; section <c>Sync:Integration</c>.</summary>
internal sealed class IntegrationOptions
{
    /// <summary>Where the client below gets its access tokens (RFC 6749, client credentials): https, or http inside the system.</summary>
    public string? TokenAddress { get; init; }

    /// <summary>A client that may have the scopes <c>orders</c> and <c>customers</c>: changes are handed over after their users' tokens have ended.</summary>
    public string? ClientId { get; init; }

    public string? ClientSecret { get; init; }

    /// <summary>How many changes and reads a replica has in hand at once.</summary>
    [Range(1, 100, ErrorMessage = "Sync:Integration:Concurrency must be from 1 to 100.")]
    public int Concurrency { get; init; } = 4;

    /// <summary>Silence after which another replica takes over what one had in hand.</summary>
    [Range(2, 600, ErrorMessage = "Sync:Integration:LeaseSeconds must be from 2 to 600.")]
    public int LeaseSeconds { get; init; } = 30;

    /// <summary>The pause after a failure doubles from a quarter of a second to this.</summary>
    [Range(1, 3600, ErrorMessage = "Sync:Integration:LongestRetrySeconds must be from 1 to 3600.")]
    public int LongestRetrySeconds { get; init; } = 60;

    /// <summary>How long a change that has ended is remembered.</summary>
    [Range(1, 3650, ErrorMessage = "Sync:Integration:KeepDays must be from 1 to 3650.")]
    public int KeepDays { get; init; } = 30;
}

internal sealed class BoundRules(IConfiguration configuration) : IValidateOptions<SyncOptions>
{
    public ValidateOptionsResult Validate(string? name, SyncOptions options)
    {
        List<string> faults = [];
        foreach (var (database, bound) in options.Bound)
        {
            if (bound.Source is not BoundOptions.Orders)
            {
                faults.Add($"Sync:Bound:{database}:Source is '{bound.Source}'. Set it to {BoundOptions.Orders}, or leave the database out.");
            }
            if (options.Shared.ContainsKey(database))
            {
                faults.Add($"Sync:Shared names '{database}', which is bound: a bound database is its user's own.");
            }
        }
        List<ValidationResult> results = [];
        Validator.TryValidateObject(options.Integration, new(options.Integration), results, validateAllProperties: true);
        faults.AddRange(results.Select(result => result.ErrorMessage!));
        if (options.Bound.Count > 0)
        {
            var integration = options.Integration;
            if (!Uri.TryCreate(integration.TokenAddress, UriKind.Absolute, out _) || string.IsNullOrEmpty(integration.ClientId) || string.IsNullOrEmpty(integration.ClientSecret))
            {
                faults.Add("Sync:Bound needs Sync:Integration:TokenAddress, ClientId and ClientSecret: a client that may have the scopes orders and customers.");
            }
            if (string.IsNullOrEmpty(configuration.GetConnectionString("integrationdb")))
            {
                faults.Add("Sync:Bound needs the connection string 'integrationdb', from which the events of the back office come.");
            }
        }
        return faults.Count is 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }
}
