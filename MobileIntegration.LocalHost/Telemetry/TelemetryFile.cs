using System.IO.Compression;
using Google.Protobuf;
using Microsoft.Data.Sqlite;

namespace MobileIntegration.LocalHost.Telemetry;

/// <param name="Data">An OTLP request message.</param>
internal readonly record struct TelemetryBlob(TelemetrySignals Signal, int Items, byte[] Data);

/// <summary>
/// The file of a run, SQLite: OTLP messages as they can be added to a store again, compressed. Messages in protobuf that follow each other are one
/// message, so small ones share a row, which is replaced as it grows.
/// </summary>
internal sealed class TelemetryFile : IDisposable
{
    private const int Version = 1;
    private const int LargeRow = 256 * 1024;
    private const string Schema = """
        pragma journal_mode = wal;
        pragma synchronous = normal;
        pragma journal_size_limit = 16777216;
        create table if not exists run (id integer primary key check (id = 1), started_at integer not null, last_at integer not null, ended_at integer,
            spans integer not null, logs integer not null, points integer not null, unrecorded integer not null);
        create table if not exists messages (id integer primary key, signal integer not null, items integer not null, data blob not null);
        """;

    private readonly SqliteConnection _connection;
    private readonly TelemetryLimits _limits;
    private readonly long _maxBytes;
    private readonly Dictionary<TelemetrySignals, Signal> _signals = new()
    {
        [TelemetrySignals.Traces] = new(),
        [TelemetrySignals.Logs] = new(),
        [TelemetrySignals.Metrics] = new(),
    };

    private long _lastId;

    /// <summary>Makes the file, or goes on with the one that is there.</summary>
    public TelemetryFile(string path, DateTimeOffset started, TelemetryLimits limits, long maxBytes)
    {
        (_limits, _maxBytes) = (limits, maxBytes);
        _connection = Connect(path, SqliteOpenMode.ReadWriteCreate);
        try
        {
            Run(_connection, Schema);
            Run(_connection, $"pragma user_version = {Version}");
            Run(_connection, "insert or ignore into run values (1, $at, $at, null, 0, 0, 0, 0)", ("$at", started.ToUnixTimeMilliseconds()));
            foreach (var (id, signal, items, bytes) in Read(_connection, "select id, signal, items, length(data) from messages order by id",
                row => (row.GetInt64(0), (TelemetrySignals)row.GetInt32(1), row.GetInt32(2), row.GetInt64(3))))
            {
                _signals[signal].Add(new(id, items, bytes));
                _lastId = id;
            }
        }
        catch
        {
            _connection.Dispose();
            throw;
        }
    }

    /// <summary>One commit: adds messages, deletes the oldest that are too many, and counts.</summary>
    public void Write(IEnumerable<TelemetryBlob> blobs, DateTimeOffset now, long unrecorded)
    {
        using var transaction = _connection.BeginTransaction(deferred: true);
        foreach (var blob in blobs)
        {
            Add(_signals[blob.Signal], blob);
        }

        foreach (var (name, signal) in _signals)
        {
            // What one signal's buffer in memory cannot hold is of no use; of metrics, repeated points make that unknown.
            var most = name switch { TelemetrySignals.Traces => _limits.MaxSpanCount, TelemetrySignals.Logs => _limits.MaxLogCount, _ => long.MaxValue };
            while (signal.Rows.Count > 1 && signal.Items - signal.Rows.Peek().Items >= most)
            {
                DeleteOldest(signal);
            }
        }

        while (_signals.Values.Sum(signal => signal.Bytes) > _maxBytes && _signals.Values.MaxBy(signal => signal.Bytes) is { Rows.Count: > 1 } largest)
        {
            DeleteOldest(largest);
        }

        Run(_connection, "update run set last_at = $at, spans = $spans, logs = $logs, points = $points, unrecorded = $unrecorded",
            ("$at", now.ToUnixTimeMilliseconds()), ("$spans", _signals[TelemetrySignals.Traces].Items), ("$logs", _signals[TelemetrySignals.Logs].Items),
            ("$points", _signals[TelemetrySignals.Metrics].Items), ("$unrecorded", unrecorded));
        transaction.Commit();
    }

    public void End(DateTimeOffset now) => Run(_connection, "update run set ended_at = $at", ("$at", now.ToUnixTimeMilliseconds()));

    public void Dispose() => _connection.Dispose();

    /// <summary>What the file says about its run.</summary>
    /// <exception cref="TelemetryException">It is not such a file.</exception>
    public static TelemetryRun Describe(string path) => Reading(path, connection => Read(connection,
        "select started_at, last_at, ended_at, spans, logs, points, unrecorded from run", row => new TelemetryRun(
            Path.GetFileNameWithoutExtension(path), Time(row, 0), Time(row, row.IsDBNull(2) ? 1 : 2), row.GetInt64(3), row.GetInt64(4), row.GetInt64(5),
            row.GetInt64(6), Length(path), IsCurrent: false)).Single());

    /// <summary>Hands over every message in the order that they came.</summary>
    /// <exception cref="TelemetryException">It is not such a file.</exception>
    public static void Replay(string path, Action<TelemetrySignals, byte[]> take) => Reading(path, connection =>
    {
        foreach (var (signal, data) in Read(
            connection, "select signal, data from messages order by id", row => ((TelemetrySignals)row.GetInt32(0), (byte[])row[1])))
        {
            take(signal, Unpack(data));
        }

        return true;
    });

    public static void Delete(string path)
    {
        foreach (var file in (string[])[path + "-wal", path + "-shm", path])
        {
            File.Delete(file);
        }
    }

    private static T Reading<T>(string path, Func<SqliteConnection, T> read)
    {
        try
        {
            using var connection = Connect(path, SqliteOpenMode.ReadWrite);
            var version = Read(connection, "pragma user_version", row => row.GetInt32(0)).Single();
            return version == Version
                ? read(connection)
                : throw new TelemetryException($"{path} is of version {version}; this AppHost reads version {Version}.");
        }
        catch (Exception exception) when (exception is SqliteException or InvalidDataException or InvalidOperationException or InvalidProtocolBufferException)
        {
            throw new TelemetryException($"{path} cannot be read: {exception.Message}", exception);
        }
    }

    /// <summary>Bytes with what is not yet moved into it; 0 if there is none.</summary>
    public static long Length(string path) => ((string[])[path, path + "-wal"]).Sum(file => new FileInfo(file) is { Exists: true } info ? info.Length : 0);

    private static DateTimeOffset Time(SqliteDataReader row, int column) => DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(column));

    private void Add(Signal signal, TelemetryBlob blob)
    {
        if (signal.Tail.Length == 0)
        {
            signal.Add(new(++_lastId, 0, 0));
        }

        signal.Tail.Write(blob.Data);
        var packed = Pack(signal.Tail);
        var row = signal.Last;
        row.Items += blob.Items;
        signal.Items += blob.Items;
        signal.Bytes += packed.Length - row.Bytes;
        row.Bytes = packed.Length;
        Run(_connection, "insert or replace into messages values ($id, $signal, $items, $data)",
            ("$id", row.Id), ("$signal", (int)blob.Signal), ("$items", row.Items), ("$data", packed));
        if (signal.Tail.Length >= LargeRow)
        {
            signal.Tail = new MemoryStream();
        }
    }

    private void DeleteOldest(Signal signal)
    {
        var row = signal.Rows.Dequeue();
        signal.Items -= row.Items;
        signal.Bytes -= row.Bytes;
        Run(_connection, "delete from messages where id = $id", ("$id", row.Id));
    }

    private static byte[] Pack(MemoryStream data)
    {
        var packed = new MemoryStream();
        using (var deflate = new DeflateStream(packed, CompressionLevel.Fastest))
        {
            deflate.Write(data.GetBuffer().AsSpan(0, (int)data.Length));
        }

        return packed.ToArray();
    }

    private static byte[] Unpack(byte[] packed)
    {
        using var deflate = new DeflateStream(new MemoryStream(packed), CompressionMode.Decompress);
        var data = new MemoryStream();
        deflate.CopyTo(data);
        return data.ToArray();
    }

    private static SqliteConnection Connect(string path, SqliteOpenMode mode)
    {
        // Without a pool, so that the file is closed when the connection is.
        var settings = new SqliteConnectionStringBuilder { DataSource = path, Mode = mode, Pooling = false, DefaultTimeout = 5 };
        var connection = new SqliteConnection(settings.ToString());
        try
        {
            connection.Open();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static void Run(SqliteConnection connection, string sql, params (string Name, object Value)[] parameters)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        foreach (var (name, value) in parameters)
        {
            command.Parameters.AddWithValue(name, value);
        }

        command.ExecuteNonQuery();
    }

    private static IEnumerable<T> Read<T>(SqliteConnection connection, string sql, Func<SqliteDataReader, T> read)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        using var rows = command.ExecuteReader();
        while (rows.Read())
        {
            yield return read(rows);
        }
    }

    private sealed class Row(long id, int items, long bytes)
    {
        public long Id => id;

        public int Items { get; set; } = items;

        public long Bytes { get; set; } = bytes;
    }

    /// <summary>The rows of a signal, the oldest first, and the message in the last one as long as it may grow.</summary>
    private sealed class Signal
    {
        public Queue<Row> Rows { get; } = [];

        public Row Last { get; private set; } = null!;

        public MemoryStream Tail { get; set; } = new();

        public long Items { get; set; }

        public long Bytes { get; set; }

        public void Add(Row row)
        {
            Rows.Enqueue(Last = row);
            Items += row.Items;
            Bytes += row.Bytes;
        }
    }
}
