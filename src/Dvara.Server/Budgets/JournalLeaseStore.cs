using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Server.Metering;
using Npgsql;

namespace Dvara.Server.Budgets;

/// <summary>A lease of a period that is not over, of a cap that is not deleted, as seen from its journal.</summary>
internal sealed class JournalLease
{
    public JournalId JournalId { get; init; }

    public CapId CapId { get; init; }

    public long StartMs { get; init; }

    public Usd Granted { get; init; }

    public Usd Settled { get; init; }

    public Usd Exposed { get; init; }

    /// <summary>Charged, or perhaps to be billed: what stays whoever comes back.</summary>
    public Usd Used => Settled + Exposed;

    /// <summary>Granted and not used, as far as the ledger knows: free, or held by attempts that run.</summary>
    public Usd Unused => Granted > Used ? Granted - Used : Usd.Zero;
}

/// <summary>The SQL of leases by journal.</summary>
internal sealed class JournalLeaseStore(TimeProvider clock) : IJournalLeases
{
    /// <summary>No period is longer: what began before is over, and the index by journal and start leaves it out.</summary>
    private static readonly TimeSpan PeriodMax = TimeSpan.FromDays(32);

    private const string ReadSql = $"""
        SELECT l.journal_id AS journalId, l.cap_id AS capId, l.start_ms AS startMs, l.granted_pico_usd AS granted, l.settled_pico_usd AS settled,
            CAST({LeaseStore.Exposed} AS bigint) AS exposed
        FROM leases l JOIN cap_periods p ON p.cap_id = l.cap_id AND p.start_ms = l.start_ms
        WHERE l.journal_id BETWEEN @first AND @last AND l.start_ms > @since AND p.end_ms > @now
            AND NOT EXISTS (SELECT 1 FROM caps c WHERE c.id = l.cap_id AND c.deleted_at_ms IS NOT NULL)
        """;

    private const string LockPeriodsSql = """
        SELECT p.cap_id FROM cap_periods p JOIN leases l ON l.cap_id = p.cap_id AND l.start_ms = p.start_ms
        WHERE l.journal_id = @journal AND l.start_ms > @since AND p.end_ms > @now ORDER BY p.cap_id, p.start_ms FOR UPDATE OF p
        """;

    private const string CountAsAskSql = """
        UPDATE leases SET asked = asked + 1
        WHERE journal_id = @journal AND start_ms > @since
            AND EXISTS (SELECT 1 FROM cap_periods p WHERE p.cap_id = leases.cap_id AND p.start_ms = leases.start_ms AND p.end_ms > @now)
        """;

    private const string LowerSql = """
        UPDATE leases SET granted_pico_usd = @used WHERE cap_id = @capId AND start_ms = @startMs AND journal_id = @journalId
        """;

    public async Task<IReadOnlyDictionary<JournalId, Usd>> ReadAsync(DbConnection connection, IReadOnlyList<JournalId> journals)
    {
        if (journals.Count == 0)
        {
            return new Dictionary<JournalId, Usd>();
        }

        // A page of journals is a stretch of their ids.
        var (first, last) = (new JournalId(journals.Min(journal => journal.Value)), new JournalId(journals.Max(journal => journal.Value)));
        var leases = await ReadAsync(connection, null, first, last, clock.GetUtcNow());
        return leases.GroupBy(lease => lease.JournalId).ToDictionary(
            journal => journal.Key, journal => journal.Aggregate(Usd.Zero, (sum, lease) => sum + lease.Unused));
    }

    /// <summary>
    /// Gives back what the journal has not used. Counts as an ask of the journal's own, so that an earlier one that arrives late acts no more,
    /// and the silo, if it lives after all, believes the row.
    /// </summary>
    /// <param name="transaction">Nothing of the journal is charged beside it.</param>
    /// <param name="journal">Of a silo that is gone, or stops.</param>
    /// <param name="now">Now.</param>
    /// <returns>The leases that gave something back, as they were.</returns>
    public static async Task<List<JournalLease>> GiveBackAsync(DbTransaction transaction, JournalId journal, DateTimeOffset now)
    {
        if (transaction.Connection is NpgsqlConnection)
        {
            // Who grants holds these locks: a grant is before it, or sees it.
            await transaction.Connection.ExecuteAsync(LockPeriodsSql, new { journal, since = now - PeriodMax, now }, transaction);
        }

        await transaction.Connection!.ExecuteAsync(CountAsAskSql, new { journal, since = now - PeriodMax, now }, transaction);
        var leases = await ReadAsync(transaction.Connection!, transaction, journal, journal, now);
        List<JournalLease> returned = [.. leases.Where(lease => lease.Unused > Usd.Zero)];
        await transaction.Connection!.ExecuteAsync(
            LowerSql, returned.Select(lease => new { used = lease.Used, capId = lease.CapId, startMs = lease.StartMs, journalId = journal }), transaction);
        return returned;
    }

    private static Task<IEnumerable<JournalLease>> ReadAsync(
        DbConnection connection, DbTransaction? transaction, JournalId first, JournalId last, DateTimeOffset now) =>
        connection.QueryAsync<JournalLease>(ReadSql, new { first, last, since = now - PeriodMax, now }, transaction);
}
