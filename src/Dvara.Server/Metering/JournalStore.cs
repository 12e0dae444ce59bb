using System.Data.Common;
using System.IO.Hashing;
using System.Text.Json;
using Dvara.Domain;
using Dvara.Server.Storage;
using Microsoft.Data.Sqlite;

namespace Dvara.Server.Metering;

/// <summary>
/// The journal's file: SQLite in WAL mode with <c>synchronous=FULL</c>, so that a commit survives power loss. It holds the intents of
/// open attempts and the charges of ended ones; a charge repeats its intent and takes its place. Written by one thread;
/// what is read beside it (<see cref="ReadCharges"/> and the like) has a connection of its own.
/// </summary>
internal sealed class JournalStore : IDisposable
{
    private const string Schema = """
        PRAGMA application_id = 0x44565241;
        PRAGMA user_version = 1;
        CREATE TABLE head (id BLOB NOT NULL, pruned_through INTEGER NOT NULL) STRICT;
        CREATE TABLE intents (
            seq INTEGER PRIMARY KEY, body BLOB NOT NULL, body_sum INTEGER NOT NULL, delivered BLOB, delivered_sum INTEGER) STRICT;
        CREATE TABLE charges (
            seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, body BLOB NOT NULL, body_sum INTEGER NOT NULL) STRICT;
        """;

    // Added after version 1 without raising it: older programs leave the table alone.
    private const string SchemaOfLater = "CREATE TABLE IF NOT EXISTS ledger_server (timeline TEXT NOT NULL) STRICT";

    /// <summary>
    /// SQLite's own checkpoints swallow their errors, and a failed flush must stop the process: <see cref="Checkpoint"/> runs them.
    /// </summary>
    private const string Pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;";

    /// <summary>What SQLite writes at least.</summary>
    private const int PageBytes = 4096;

    private const string ReadMark = "SELECT application_id, user_version FROM pragma_application_id, pragma_user_version";
    private const string InsertHead = "INSERT INTO head (id, pruned_through) VALUES ($id, 0)";
    private const string ReadId = "SELECT id FROM head";
    private const string ReadPrunedThrough = "SELECT pruned_through FROM head";
    private const string ReadTimeline = "SELECT timeline FROM ledger_server";
    private const string WriteTimeline = "INSERT OR REPLACE INTO ledger_server (rowid, timeline) VALUES (1, $timeline)";
    private const string ReadLastSeq = """
        SELECT max(pruned_through, coalesce((SELECT max(seq) FROM intents), 0), coalesce((SELECT max(seq) FROM charges), 0)) FROM head
        """;

    private const string ReadIntents = "SELECT seq, body, body_sum, delivered, delivered_sum FROM intents ORDER BY seq";
    private const string ReadChargesAfter = "SELECT seq, at_ms, body, body_sum FROM charges WHERE seq > $after ORDER BY seq LIMIT $limit";
    private const string CountChargesAfter = "SELECT count(*) FROM charges WHERE seq > $after";
    private const string InsertIntent = "INSERT INTO intents (seq, body, body_sum) VALUES ($seq, $body, $sum)";
    private const string UpdateDelivered = "UPDATE intents SET delivered = $body, delivered_sum = $sum WHERE seq = $seq";
    private const string DeleteIntent = "DELETE FROM intents WHERE seq = $seq";
    private const string InsertCharge = "INSERT INTO charges (seq, at_ms, body, body_sum) VALUES ($seq, $at, $body, $sum)";
    private const string ReadPrunable = "SELECT max(seq), count(*) FROM (SELECT seq FROM charges WHERE seq <= $through ORDER BY seq LIMIT $limit)";

    private const string DeletePruned = "DELETE FROM charges WHERE seq <= $through";
    private const string UpdatePruned = "UPDATE head SET pruned_through = max(pruned_through, $through)";
    private const string RunCheckpoint = "PRAGMA wal_checkpoint(PASSIVE)";
    private const string ReadPages = "SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count";
    private const string LimitPages = "PRAGMA max_page_count = ";

    private readonly string _path;
    private readonly SqliteConnection _writer;
    private readonly SqliteConnection _reader;
    private readonly Lock _reading = new();
    private readonly PreparedWrite _begin;
    private readonly PreparedWrite _commit;
    private readonly PreparedWrite _rollback;
    private readonly PreparedWrite _addIntent;
    private readonly PreparedWrite _setDelivered;
    private readonly PreparedWrite _dropIntent;
    private readonly PreparedWrite _addCharge;
    private readonly PreparedStatement _findPrunable;
    private readonly PreparedWrite _prune;
    private readonly PreparedWrite _markPruned;
    private readonly PreparedWrite _checkpoint;

    private JournalStore(string path, SqliteConnection writer, SqliteConnection reader)
    {
        _path = path;
        _writer = writer;
        _reader = reader;
        _begin = new(writer, "BEGIN IMMEDIATE");
        _commit = new(writer, "COMMIT");
        _rollback = new(writer, "ROLLBACK");
        _addIntent = new(writer, InsertIntent);
        _setDelivered = new(writer, UpdateDelivered);
        _dropIntent = new(writer, DeleteIntent);
        _addCharge = new(writer, InsertCharge);
        _findPrunable = new(writer, ReadPrunable, "$through", "$limit");
        _prune = new(writer, DeletePruned);
        _markPruned = new(writer, UpdatePruned);
        _checkpoint = new(writer, RunCheckpoint);
        using var id = new PreparedStatement(writer, ReadId);
        Id = id.Row(row => new JournalId(new Guid(row.GetFieldValue<byte[]>(0), bigEndian: true)));
    }

    public JournalId Id { get; }

    /// <summary>Opens the file, or makes it with an id of its own.</summary>
    /// <exception cref="JournalDamagedException">The file is there and is no journal that can be trusted.</exception>
    public static JournalStore Open(string path)
    {
        // SQLite would take what ends within its first page for a new file, and write over it.
        if (new FileInfo(path) is { Exists: true, Length: > 0 and < PageBytes })
        {
            throw new JournalDamagedException(path, "it is cut off", null);
        }

        var writer = Connect(path);
        SqliteConnection? reader = null;
        try
        {
            Prepare(path, writer);
            reader = Connect(path);
            return new JournalStore(path, writer, reader);
        }
        catch (Exception exception)
        {
            reader?.Dispose();
            writer.Dispose();
            if (IsDamage(exception))
            {
                throw new JournalDamagedException(path, exception.Message, exception);
            }

            throw;
        }
    }

    /// <summary>The last number given to an entry; the next is larger.</summary>
    /// <exception cref="JournalDamagedException">The file cannot be read.</exception>
    public long LastSeq() => Read(() =>
    {
        using var last = new PreparedStatement(_writer, ReadLastSeq);
        return last.Row(row => row.GetInt64(0));
    });

    /// <exception cref="JournalDamagedException">An entry does not match its checksum, or cannot be read.</exception>
    public IReadOnlyList<OpenIntent> ReadOpen() => Read(() =>
    {
        using var intents = new PreparedStatement(_writer, ReadIntents);
        return intents.Rows(row =>
        {
            var seq = row.GetInt64(0);
            var delivered = row.IsDBNull(3) ? null : JournalEntry.DecodeUsage(Checked(row, seq, 3));
            return new OpenIntent(seq, JournalEntry.DecodeIntent(Checked(row, seq, 1)), delivered);
        });
    });

    /// <summary>Charges behind <paramref name="after"/>, oldest first. Any one thread at a time.</summary>
    /// <exception cref="JournalDamagedException">An entry does not match its checksum, or cannot be read.</exception>
    public List<JournaledCharge> ReadCharges(long after, int limit) => Read(() =>
    {
        lock (_reading)
        {
            using var charges = new PreparedStatement(_reader, ReadChargesAfter, "$after", "$limit");
            return charges.Rows(
                row =>
                {
                    var seq = row.GetInt64(0);
                    return new JournaledCharge(
                        seq, DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(1)), JournalEntry.DecodeCharge(Checked(row, seq, 2)));
                },
                after,
                limit);
        }
    });

    /// <exception cref="JournalDamagedException">The file cannot be read.</exception>
    public int CountCharges(long after) => Read(() =>
    {
        lock (_reading)
        {
            using var count = new PreparedStatement(_reader, CountChargesAfter, "$after");
            return count.Row(row => row.GetInt32(0), after);
        }
    });

    /// <summary>Charges up to here have been deleted.</summary>
    /// <exception cref="JournalDamagedException">The file cannot be read.</exception>
    public long PrunedThrough() => Read(() =>
    {
        lock (_reading)
        {
            using var pruned = new PreparedStatement(_reader, ReadPrunedThrough);
            return pruned.Row(row => row.GetInt64(0));
        }
    });

    /// <summary>What <see cref="SetTimeline"/> was told last; null: nothing yet.</summary>
    /// <exception cref="JournalDamagedException">The file cannot be read.</exception>
    public string? Timeline() => Read(() =>
    {
        lock (_reading)
        {
            using var timeline = new PreparedStatement(_reader, ReadTimeline);
            return timeline.Rows(row => row.GetString(0)).SingleOrDefault();
        }
    });

    public void Begin() => _begin.Run();

    /// <summary>When it returns, the transaction is on disk.</summary>
    public void Commit() => _commit.Run();

    /// <summary>After an error. Some errors have rolled back already.</summary>
    public void Rollback()
    {
        if (SQLitePCL.raw.sqlite3_get_autocommit(_writer.Handle) == 0)
        {
            _rollback.Run();
        }
    }

    public void AddIntent(long seq, byte[] body) => _addIntent.Run(seq, body, Sum(body, seq));

    public void SetDelivered(long intentSeq, byte[] body) => _setDelivered.Run(body, Sum(body, intentSeq), intentSeq);

    /// <param name="seq">Its place.</param>
    /// <param name="at">Now.</param>
    /// <param name="body">The encoded charge.</param>
    /// <param name="intentSeq">The intent whose place it takes; null for a correction.</param>
    public void AddCharge(long seq, DateTimeOffset at, byte[] body, long? intentSeq)
    {
        _addCharge.Run(seq, at.ToUnixTimeMilliseconds(), body, Sum(body, seq));
        if (intentSeq is { } intent)
        {
            _dropIntent.Run(intent);
        }
    }

    /// <summary>Deletes the oldest charges up to <paramref name="through"/>.</summary>
    /// <returns>How many; fewer than <paramref name="limit"/>: nothing is left to prune.</returns>
    public int Prune(long through, int limit)
    {
        var (last, count) = _findPrunable.Row(row => row.IsDBNull(0) ? (0L, 0) : (row.GetInt64(0), row.GetInt32(1)), through, limit);
        if (count > 0)
        {
            _prune.Run(last);
            _markPruned.Run(last);
        }

        return count;
    }

    public void SetTimeline(string timeline)
    {
        using var write = new PreparedStatement(_writer, WriteTimeline, "$timeline");
        write.Run(timeline);
    }

    /// <summary>Moves the write-ahead log into the file, so that the log can start over.</summary>
    public void Checkpoint() => _checkpoint.Run();

    /// <summary>Pages that hold something, free ones not counted.</summary>
    public long PagesInUse()
    {
        using var pages = new PreparedStatement(_writer, ReadPages);
        return pages.Row(row => row.GetInt64(0));
    }

    public void SetPagesMax(long pages)
    {
        // A pragma takes no parameter.
        using var limit = new PreparedStatement(_writer, LimitPages + pages.ToString(System.Globalization.CultureInfo.InvariantCulture));
        limit.Run();
    }

    public void Dispose()
    {
        _reader.Dispose();
        foreach (var write in new IDisposable[] { _begin, _commit, _rollback, _addIntent, _setDelivered, _dropIntent, _addCharge, _findPrunable, _prune, _markPruned, _checkpoint })
        {
            write.Dispose();
        }

        // The last connection to close moves the log into the file.
        _writer.Dispose();
    }

    private static SqliteConnection Connect(string path)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString());
        connection.Open();
        return connection;
    }

    private static void Prepare(string path, SqliteConnection connection)
    {
        using var pragmas = new PreparedStatement(connection, Pragmas);
        pragmas.Run();
        using var mark = new PreparedStatement(connection, ReadMark);
        switch (mark.Row(row => (row.GetInt64(0), row.GetInt64(1))))
        {
            case (0x44565241, 1):
                break;
            case (0, 0):
                Create(connection);
                break;
            default:
                throw new JournalDamagedException(path, "it is a database of another program or of a newer version", null);
        }

        using var later = new PreparedStatement(connection, SchemaOfLater);
        later.Run();
    }

    private static void Create(SqliteConnection connection)
    {
        using var begin = new PreparedStatement(connection, "BEGIN IMMEDIATE");
        using var schema = new PreparedStatement(connection, Schema);
        using var head = new PreparedStatement(connection, InsertHead, "$id");
        using var commit = new PreparedStatement(connection, "COMMIT");
        begin.Run();
        schema.Run();
        head.Run(Guid.CreateVersion7().ToByteArray(bigEndian: true));
        commit.Run();
    }

    /// <summary>Seeded with the place, so that an entry that moved is found too.</summary>
    private static long Sum(ReadOnlySpan<byte> body, long seq) => unchecked((long)XxHash3.HashToUInt64(body, seq));

    private static byte[] Checked(DbDataReader row, long seq, int column)
    {
        var body = row.GetFieldValue<byte[]>(column);
        return Sum(body, seq) == row.GetInt64(column + 1)
            ? body
            : throw new JsonException($"entry {seq} does not match its checksum");
    }

    private T Read<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception exception) when (IsDamage(exception))
        {
            throw new JournalDamagedException(_path, exception.Message, exception);
        }
    }

    /// <summary>The statements are right: what the engine does not find in them (<see cref="SqliteErrors.Error"/>) is missing from the file.</summary>
    private static bool IsDamage(Exception exception) =>
        exception is JsonException or InvalidCastException or InvalidOperationException or ArgumentException or OverflowException
        or SqliteException { SqliteErrorCode: SqliteErrors.Corrupt or SqliteErrors.NotADatabase or SqliteErrors.Error };
}
