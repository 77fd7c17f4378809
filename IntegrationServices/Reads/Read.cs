using System.ComponentModel;
using IntegrationServices.Connectors;

namespace IntegrationServices.Reads;

/// <summary>What a system answered, now or some time ago.</summary>
/// <param name="Kind">Of its settings, and the name of the cache in <c>Cache-Status</c>.</param>
/// <param name="Ttl">How long it counts as fresh; below zero for as long as it has not.</param>
/// <param name="Why">What kept a new answer away, when it stands in for one.</param>
internal readonly record struct Read<T>(string Kind, T Data, TimeSpan Age, TimeSpan Ttl, BackendException? Why)
{
    public Read<TOther> Select<TOther>(Func<T, TOther> map) => new(Kind, map(Data), Age, Ttl, Why);
}

/// <summary>An answer with its time, never changed once it is made.</summary>
[ImmutableObject(true)]
internal sealed record Kept<T>(T? Data, DateTimeOffset At);
