using System.Data.Common;
using Dapper;
using Dvara.Server.Hosting;

namespace Dvara.Server.Storage;

/// <summary>
/// Tells every silo what an admin changed. A change takes the next number of one counter row inside the admin's own transaction,
/// so commit order is number order; each silo polls for numbers it has not seen, and subscribers drop or reload what they cached.
/// </summary>
/// <remarks>
/// A database that was restored, or failed over to a server that lacked its last commits, stands before numbers that silos have seen. Whoever
/// finds that lifts the counter above them and announces that everything may have changed: so numbers never mean two things.
/// </remarks>
internal sealed partial class ChangeFeed(Database database, TimeProvider clock, ILogger<ChangeFeed> logger)
    : PeriodicService(TimeSpan.FromMilliseconds(500), "The change feed could not be read; cached keys and prices may be stale until it can.", logger)
{
    private const int BatchMax = 1000;

    private const string Announce = """
        UPDATE change_counter SET value = value + 1;
        INSERT INTO changes (number, topic, subject) SELECT value, @topic, @subject FROM change_counter;
        """;

    /// <summary>From the last one on: it must still be what it was.</summary>
    private const string ReadFrom = """
        SELECT c.value AS latest, n.number, n.topic, n.subject
        FROM change_counter c LEFT JOIN (SELECT number, topic, subject FROM changes WHERE number >= @reacted ORDER BY number LIMIT @limit) n ON TRUE
        ORDER BY n.number
        """;

    private const string ReadLatest = "SELECT value FROM change_counter";

    /// <summary>Changes that a silo may have seen beyond another's last one, generously.</summary>
    private const int LostMax = 1_000_000;

    private const string Lift = """
        UPDATE change_counter SET value = CASE WHEN value < @seen + @lost THEN @seen + @lost ELSE value END + 1;
        INSERT INTO changes (number, topic, subject) SELECT value, @everything, '' FROM change_counter
        """;

    /// <summary>The topic of a change that every subscriber hears, with an empty subject.</summary>
    private const string Everything = "*";

    private readonly List<(string Topic, Func<string, CancellationToken, Task> React)> _subscribers = [];
    private readonly SemaphoreSlim _polling = new(1);
    private long _seen = -1;
    private long _reacted = -1;
    private long _caughtUpAt;

    // What _reacted was about; null: not read by this process.
    private (string Topic, string Subject)? _last;

    /// <summary>
    /// Written by the poll, read by whoever asks a grain: it re-reads when its own number is older. Raised before subscribers react, so that
    /// what they reload then is already asked for with the number of the change.
    /// </summary>
    public long Seen => Volatile.Read(ref _seen);

    /// <summary>Timestamp of the clock at which nothing was left to read: what was cached is not older than this.</summary>
    public long CaughtUpAt => Volatile.Read(ref _caughtUpAt);

    /// <summary>Called while the process is put together, before the feed starts.</summary>
    /// <param name="topic">For example <c>api-key</c>.</param>
    /// <param name="react">Gets the subject (an id, or empty for "anything"); must be quick.</param>
    public void Subscribe(string topic, Func<string, CancellationToken, Task> react) => _subscribers.Add((topic, react));

    /// <summary>Announces a change; call it inside the transaction that makes it.</summary>
    public static Task AnnounceAsync(DbTransaction transaction, string topic, string subject) =>
        transaction.Connection!.ExecuteAsync(Announce, new { topic, subject }, transaction);

    /// <summary>Brings this silo up to date now, so that an admin's next call already sees what the last one did.</summary>
    public async Task CatchUpAsync(CancellationToken cancellationToken)
    {
        await _polling.WaitAsync(cancellationToken);
        try
        {
            int read;
            do
            {
                var startedAt = clock.GetTimestamp();
                read = await ReactAsync(cancellationToken);
                Volatile.Write(ref _caughtUpAt, read < BatchMax ? startedAt : _caughtUpAt);
            }
            while (read == BatchMax);
        }
        finally
        {
            _polling.Release();
        }
    }

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        _caughtUpAt = clock.GetTimestamp();
        _seen = _reacted = await database.ReadAsync(c => c.QuerySingleAsync<long>(ReadLatest), cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    protected override Task TickAsync(CancellationToken stoppingToken) => CatchUpAsync(stoppingToken);

    private async Task<int> ReactAsync(CancellationToken cancellationToken)
    {
        var rows = (await database.LookUpAsync(
            c => c.QueryAsync<(long Latest, long? Number, string Topic, string Subject)>(ReadFrom, new { reacted = _reacted, limit = BatchMax }),
            cancellationToken)).AsList();
        if (rows[0].Latest < _seen || (_last is { } last && (rows[0].Number != _reacted || last != (rows[0].Topic, rows[0].Subject))))
        {
            await LiftAsync(cancellationToken);
            return BatchMax;
        }

        var changes = rows.Where(row => row.Number > _reacted).ToList();
        if (changes.Count > 0)
        {
            Volatile.Write(ref _seen, changes[^1].Number!.Value);
        }

        foreach (var (_, number, topic, subject) in changes)
        {
            foreach (var subscriber in _subscribers.Where(s => s.Topic == topic || topic == Everything))
            {
                await subscriber.React(subject, cancellationToken);
            }

            _reacted = number!.Value;
            _last = (topic, subject);
        }

        return rows.Count == BatchMax ? BatchMax : changes.Count;
    }

    private async Task LiftAsync(CancellationToken cancellationToken)
    {
        LogWentBack(logger, _seen);
        await database.WriteAsync(
            WriteLane.Admin,
            transaction => transaction.Connection!.ExecuteAsync(Lift, new { seen = _seen, lost = LostMax, everything = Everything }, transaction),
            cancellationToken);
        _last = null;
    }

    [LoggerMessage(1, LogLevel.Error, "The database stands before change {Seen}, which this silo has seen: it was restored, or failed over to a server that lacked its last commits. Keys, prices and tenants are read again.")]
    private static partial void LogWentBack(ILogger logger, long seen);
}
