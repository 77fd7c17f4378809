using System.Diagnostics.Metrics;

namespace MobileServices.Sync;

internal sealed class SyncMetrics
{
    public const string MeterName = "mobile.sync";

    private readonly Counter<long> _written;
    private readonly Counter<long> _sent;
    private readonly Histogram<double> _transactions;
    private readonly Counter<long> _tombstones;
    private readonly Counter<long> _resyncs;
    private int _feeds;

    public SyncMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _written = meter.CreateCounter<long>("mobile.sync.documents.written", "{document}", "Documents that clients handed in, conflicts included");
        _sent = meter.CreateCounter<long>("mobile.sync.changes.sent", "{change}", "Rows of feeds of changes");
        _transactions = meter.CreateHistogram<double>("mobile.sync.transaction.duration", "s", "Time of a transaction that writes documents");
        _tombstones = meter.CreateCounter<long>("mobile.sync.tombstones.removed", "{document}", "Tombstones that were taken away");
        _resyncs = meter.CreateCounter<long>("mobile.sync.resyncs", "{refusal}", "Requests for changes whose deletions are gone: the client was told to start over");
        meter.CreateObservableGauge("mobile.sync.feeds.open", () => Volatile.Read(ref _feeds), "{feed}", "Open feeds of changes");
    }

    public void Written(int documents, TimeSpan time)
    {
        _written.Add(documents);
        _transactions.Record(time.TotalSeconds);
    }

    public void Sent(int changes) => _sent.Add(changes);

    public void TombstonesGone(int documents) => _tombstones.Add(documents);

    public void Resync() => _resyncs.Add(1);

    public int FeedOpens() => Interlocked.Increment(ref _feeds);

    public void FeedCloses() => Interlocked.Decrement(ref _feeds);
}
