using System.ComponentModel.DataAnnotations;
using MobileServices.Sync.Bound;
using MobileServices.Sync.Merging;

namespace MobileServices.Sync;

/// <summary>Section <c>Sync</c>.</summary>
internal sealed class SyncOptions
{
    /// <summary>How many revisions a document remembers in all.</summary>
    public const int MostRevs = 100_000;

    /// <summary>How many revisions back a new database remembers of a document; a client may change it for its own (<c>_revs_limit</c>).</summary>
    [Range(1, MostRevs, ErrorMessage = "Sync:RevsLimit must be from 1 to 100000.")]
    public int RevsLimit { get; init; } = 1000;

    /// <summary>How many leaves a document may have, and ten times as many with deleted ones: branches that were not made from one another, as devices bring them that were offline.</summary>
    [Range(10, 100_000, ErrorMessage = "Sync:MostLeaves must be from 10 to 100000.")]
    public int MostLeaves { get; init; } = 1000;

    /// <summary>The largest document, without its attachments.</summary>
    [Range(1024, 67_108_864, ErrorMessage = "Sync:DocumentBytes must be from 1024 to 67108864.")]
    public int DocumentBytes { get; init; } = 1_048_576;

    /// <summary>The largest JSON body, such as that of <c>_bulk_docs</c>: it stands in memory while it is read.</summary>
    [Range(65_536, 268_435_456, ErrorMessage = "Sync:RequestBytes must be from 65536 to 268435456.")]
    public int RequestBytes { get; init; } = 33_554_432;

    /// <summary>How much of such bodies a replica holds at once; more wait.</summary>
    [Range(65_536, 4_294_967_296, ErrorMessage = "Sync:RequestBytesAtOnce must be from 65536 to 4294967296.")]
    public long RequestBytesAtOnce { get; init; } = 134_217_728;

    /// <summary>The largest attachment; it goes through memory in pieces.</summary>
    [Range(1024, 1_073_741_824, ErrorMessage = "Sync:AttachmentBytes must be from 1024 to 1073741824.")]
    public long AttachmentBytes { get; init; } = 134_217_728;

    /// <summary>How deep JSON may be nested.</summary>
    [Range(8, 1000, ErrorMessage = "Sync:Depth must be from 8 to 1000.")]
    public int Depth { get; init; } = 128;

    /// <summary>How many documents a database may hold, deleted ones left out.</summary>
    [Range(1, 100_000_000, ErrorMessage = "Sync:MostDocuments must be from 1 to 100000000.")]
    public long MostDocuments { get; init; } = 1_000_000;

    /// <summary>How many bytes of bodies, revision trees and attachments a database may hold.</summary>
    [Range(1024, 1_099_511_627_776, ErrorMessage = "Sync:MostBytes must be from 1024 to 1099511627776.")]
    public long MostBytes { get; init; } = 2_147_483_648;

    /// <summary>How many documents that are not replicated (<c>_local</c>) a database may hold: each device that replicates has two checkpoints.</summary>
    [Range(1, 100_000_000, ErrorMessage = "Sync:MostLocalDocuments must be from 1 to 100000000.")]
    public long MostLocalDocuments { get; init; } = 1_000_000;

    /// <summary>How many bytes of them a database may hold, besides.</summary>
    [Range(1024, 1_099_511_627_776, ErrorMessage = "Sync:MostLocalBytes must be from 1024 to 1099511627776.")]
    public long MostLocalBytes { get; init; } = 1_073_741_824;

    /// <summary>How many bytes of keys and values the indexes and views of a database may hold, besides.</summary>
    [Range(1024, 1_099_511_627_776, ErrorMessage = "Sync:MostIndexBytes must be from 1024 to 1099511627776.")]
    public long MostIndexBytes { get; init; } = 1_073_741_824;

    /// <summary>How many bytes of documents one <c>_find</c> holds to sort them, when no index has the order.</summary>
    [Range(65_536, 1_073_741_824, ErrorMessage = "Sync:SortBytes must be from 65536 to 1073741824.")]
    public int SortBytes { get; init; } = 33_554_432;

    /// <summary>How many databases a user may have in an app.</summary>
    [Range(1, 10_000, ErrorMessage = "Sync:MostDatabases must be from 1 to 10000.")]
    public int MostDatabases { get; init; } = 50;

    /// <summary>How many feeds of changes a replica holds open; one more is answered with 503.</summary>
    [Range(1, 1_000_000, ErrorMessage = "Sync:MostFeeds must be from 1 to 1000000.")]
    public int MostFeeds { get; init; } = 20_000;

    /// <summary>How long a feed without heartbeat waits for a change, unless its client asks for less.</summary>
    [Range(1, 3600, ErrorMessage = "Sync:FeedSeconds must be from 1 to 3600.")]
    public int FeedSeconds { get; init; } = 20;

    /// <summary>The longest time between two heartbeats, whatever the client asks for: what stands between may cut what is silent.</summary>
    [Range(1, 300, ErrorMessage = "Sync:HeartbeatSeconds must be from 1 to 300.")]
    public int HeartbeatSeconds { get; init; } = 15;

    /// <summary>After how long without news a feed looks into the database all the same.</summary>
    [Range(1, 3600, ErrorMessage = "Sync:PollSeconds must be from 1 to 3600.")]
    public int PollSeconds { get; init; } = 30;

    /// <summary>How long one call of a JavaScript function of a design document may take, in milliseconds.</summary>
    [Range(10, 10_000, ErrorMessage = "Sync:ScriptMilliseconds must be from 10 to 10000.")]
    public int ScriptMilliseconds { get; init; } = 500;

    /// <summary>How many bytes it may allocate.</summary>
    [Range(1_048_576, 1_073_741_824, ErrorMessage = "Sync:ScriptBytes must be from 1048576 to 1073741824.")]
    public long ScriptBytes { get; init; } = 67_108_864;

    /// <summary>How deep its functions may call each other.</summary>
    [Range(8, 1000, ErrorMessage = "Sync:ScriptDepth must be from 8 to 1000.")]
    public int ScriptDepth { get; init; } = 100;

    /// <summary>How many statements it may run.</summary>
    [Range(1000, 100_000_000, ErrorMessage = "Sync:ScriptStatements must be from 1000 to 100000000.")]
    public int ScriptStatements { get; init; } = 1_000_000;

    /// <summary>Whether a change in a user's own database wakes up his other devices, by push; of shared ones see <see cref="SharedDatabase.WakeUp"/>.</summary>
    public bool WakeUp { get; init; } = true;

    /// <summary>How many days tombstones are in the feed of changes at least, also when all devices have them.</summary>
    [Range(0, 3650, ErrorMessage = "Sync:TombstoneDays must be from 0 to 3650.")]
    public int TombstoneDays { get; init; } = 30;

    /// <summary>How many days after that the revisions of deleted documents are remembered, so that nobody who was away brings them back; then all of them is gone.</summary>
    [Range(0, 3650, ErrorMessage = "Sync:ForgetDays must be from 0 to 3650.")]
    public int ForgetDays { get; init; } = 90;

    /// <summary>After how many days without a call a device counts no more: nobody keeps tombstones for it, and shared databases wake it up no more.</summary>
    [Range(1, 3650, ErrorMessage = "Sync:DeviceDays must be from 1 to 3650.")]
    public int DeviceDays { get; init; } = 90;

    /// <summary>
    /// The app of a client (claim <c>client_id</c>), for clients that share their users' data, such as those of one app on two platforms. A client that
    /// is not named is an app of its own.
    /// </summary>
    public Dictionary<string, string> Apps { get; } = [];

    /// <summary>The claim of the access token that names the roles of its user.</summary>
    public string RoleClaim { get; init; } = "roles";

    /// <summary>Databases that the users of an app share, by name. Any other name is a database of the caller's own.</summary>
    public Dictionary<string, SharedDatabase> Shared { get; } = [];

    /// <summary>Databases of each user that show his records of the back office, by name.</summary>
    public Dictionary<string, BoundOptions> Bound { get; } = [];

    /// <summary>Databases whose conflicts the service merges, by name; each user's own, and shared ones.</summary>
    public Dictionary<string, MergeOptions> Merge { get; } = [];

    public IntegrationOptions Integration { get; init; } = new();
}

/// <summary>Who may use a shared database, by roles; no roles, everybody with the scope.</summary>
internal sealed class SharedDatabase
{
    public List<string> Readers { get; } = [];

    public List<string> Writers { get; } = [];

    /// <summary>Whether a change wakes up the devices that ask for its changes.</summary>
    public bool WakeUp { get; init; }

    /// <summary>Who of the writers may write design documents, whose functions then decide for all; no roles, nobody.</summary>
    public List<string> Admins { get; } = [];
}
