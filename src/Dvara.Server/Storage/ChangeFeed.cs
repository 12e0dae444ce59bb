using System.Data.Common;
using Dapper;
using Dvara.Server.Hosting;

namespace Dvara.Server.Storage;

/// <summary>
/// Tells every silo what an admin changed. A change takes the next number of one counter row inside the admin's own transaction,
/// so commit order is number order; each silo polls for numbers it has not seen, and subscribers drop or reload what they cached.
/// </summary>
internal sealed class ChangeFeed(Database database, TimeProvider clock, ILogger<ChangeFeed> logger)
    : PeriodicService(TimeSpan.FromMilliseconds(500), "The change feed could not be read; cached keys and prices may be stale until it can.", logger)
{
    private const int BatchMax = 1000;

    private const string Announce = """
        UPDATE change_counter SET value = value + 1;
        INSERT INTO changes (number, topic, subject) SELECT value, @topic, @subject FROM change_counter;
        """;

    private const string ReadSince = "SELECT number, topic, subject FROM changes WHERE number > @reacted ORDER BY number LIMIT @limit";

    private const string ReadLatest = "SELECT value FROM change_counter";

    private readonly List<(string Topic, Func<string, CancellationToken, Task> React)> _subscribers = [];
    private readonly SemaphoreSlim _polling = new(1);
    private long _seen = -1;
    private long _reacted = -1;
    private long _caughtUpAt;

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
        var changes = (await database.ReadAsync(
            c => c.QueryAsync<(long Number, string Topic, string Subject)>(ReadSince, new { reacted = _reacted, limit = BatchMax }),
            cancellationToken)).AsList();
        if (changes.Count > 0)
        {
            Volatile.Write(ref _seen, changes[^1].Number);
        }

        foreach (var (number, topic, subject) in changes)
        {
            foreach (var subscriber in _subscribers.Where(s => s.Topic == topic))
            {
                await subscriber.React(subject, cancellationToken);
            }

            _reacted = number;
        }

        return changes.Count;
    }
}
