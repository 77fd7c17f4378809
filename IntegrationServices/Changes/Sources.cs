using System.Collections.Concurrent;

namespace IntegrationServices.Changes;

/// <summary>How the ways are on which this process hears of changes: what cannot be reached now, since when and why.</summary>
internal sealed class Sources(TimeProvider time)
{
    private readonly ConcurrentDictionary<(string System, string Source), SourceState> _states = new();

    public void Works(string system, string source) => Tell(system, source, null);

    /// <param name="reason">The newest: it is tried again.</param>
    public void Fails(string system, string source, string reason) => Tell(system, source, reason);

    public List<SourceState> Of(string system) =>
        [.. _states.Where(state => state.Key.System == system).Select(state => state.Value).OrderBy(state => state.Source, StringComparer.Ordinal)];

    private void Tell(string system, string source, string? reason)
    {
        var now = time.GetUtcNow().UtcDateTime;
        _states.AddOrUpdate(
            (system, source),
            _ => new(source, reason is null, now, reason),
            (_, former) => new(source, reason is null, former.Works == reason is null ? former.Since : now, reason));
    }
}

/// <param name="Source">webhook (they are ordered from the system), message (its queue is read), poll (it can be asked) or file (the drop folder is read).</param>
/// <param name="Works">Seen by the process that answers.</param>
/// <param name="Since">When it began to work, or ceased to.</param>
/// <param name="Reason">Why it does not; null when it does.</param>
internal sealed record SourceState(string Source, bool Works, DateTime Since, string? Reason);
