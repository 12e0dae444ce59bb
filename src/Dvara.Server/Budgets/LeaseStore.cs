using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Metering;
using Dvara.Domain.Time;
using Dvara.Server.Storage;

namespace Dvara.Server.Budgets;

/// <summary>One lease of this journal as it stands, with what is to be known of its cap's period.</summary>
/// <param name="Cap">The cap.</param>
/// <param name="Period">The period's bounds.</param>
/// <param name="State">The lease, in one moment with how far the ledger has come.</param>
/// <param name="Spent">Charged in the whole period.</param>
/// <param name="Held">Granted in the whole period, and neither charged nor exposed.</param>
/// <param name="Exposed">Unknown or unpriced in the whole period.</param>
/// <param name="ShortAt">When somebody last needed what others held.</param>
/// <param name="SoftTold">The soft event of the present arm exists.</param>
/// <param name="HardTold">The hard event of the present arm exists.</param>
internal sealed record LeaseRow(
    CapId Cap, TimeWindow Period, LeaseState State, Usd Spent, Usd Held, Usd Exposed, DateTimeOffset ShortAt, bool SoftTold, bool HardTold);

/// <summary>What charges add to one lease.</summary>
internal readonly record struct LeaseSums(Usd Settled, Usd AboveBound, Usd Late, Usd Corrected, long Requests)
{
    public static LeaseSums operator +(LeaseSums left, LeaseSums right) => new(
        left.Settled + right.Settled, left.AboveBound + right.AboveBound, left.Late + right.Late, left.Corrected + right.Corrected,
        left.Requests + right.Requests);
}

/// <summary>The key of a lease's row.</summary>
internal readonly record struct LeaseKey(CapId Cap, DateTimeOffset Start, JournalId Journal);

/// <summary>
/// The SQL of leases. Whoever grants locks the period's row, so that grants of one period come one after the other; whoever settles touches
/// the lease of the journal that made the attempt alone. Rows are locked in one order: caps, periods, leases, events; each by id.
/// </summary>
internal static class LeaseStore
{
    /// <summary>Of the lease <c>l</c>: holds of attempts that may still be billed.</summary>
    public const string Exposed =
        "coalesce((SELECT sum(e.amount_pico_usd) FROM exposures e WHERE e.cap_id = l.cap_id AND e.start_ms = l.start_ms AND e.journal_id = l.journal_id), 0)";

    /// <summary>Of the lease <c>l</c>: granted, and neither settled nor exposed. What was billed above its grant takes nothing away from others' holds.</summary>
    private const string Held =
        $"CASE WHEN l.granted_pico_usd > l.settled_pico_usd + {Exposed} THEN l.granted_pico_usd - l.settled_pico_usd - {Exposed} ELSE 0 END";

    private const string LockPeriodSql = "SELECT baseline_pico_usd FROM cap_periods WHERE cap_id = @cap AND start_ms = @start";

    private const string ReadLeasesSql = $"""
        SELECT j.shipped_through AS shippedThrough, l.journal_id AS journal, l.granted_pico_usd AS granted, l.asked AS number, l.settled_pico_usd AS settled,
            {Exposed} AS exposed
        FROM journals j LEFT JOIN leases l ON l.cap_id = @cap AND l.start_ms = @start
        WHERE j.id = @journal
        """;

    private const string SetGrantSql = """
        INSERT INTO leases (cap_id, start_ms, journal_id, granted_pico_usd, asked) VALUES (@cap, @start, @journal, @granted, @number)
        ON CONFLICT (cap_id, start_ms, journal_id) DO UPDATE SET granted_pico_usd = excluded.granted_pico_usd, asked = excluded.asked
        """;

    private const string NoteShortSql = "UPDATE cap_periods SET short_ms = @now WHERE cap_id = @cap AND start_ms = @start";

    // No period is longer than 32 days: what began before is over, and the index leaves it out. Where held is summed, l is meant to hide the
    // journal's own lease: there it is each of the period's.
    private const string ReadOwnSql = $"""
        SELECT l.cap_id AS cap, l.start_ms AS start, p.end_ms AS "end", p.short_ms AS shortAt, j.shipped_through AS shippedThrough,
            l.granted_pico_usd AS granted, l.asked AS number, l.settled_pico_usd AS settled,
            {Exposed} AS exposed,
            p.baseline_pico_usd AS baseline,
            (SELECT sum(a.settled_pico_usd) FROM leases a WHERE a.cap_id = l.cap_id AND a.start_ms = l.start_ms) AS settledByAll,
            (SELECT sum({Held}) FROM leases l WHERE l.cap_id = p.cap_id AND l.start_ms = p.start_ms) AS heldByAll,
            coalesce((SELECT sum(e.amount_pico_usd) FROM exposures e WHERE e.cap_id = l.cap_id AND e.start_ms = l.start_ms), 0) AS exposedByAll,
            (SELECT count(*) FROM cap_events t WHERE t.cap_id = l.cap_id AND t.start_ms = l.start_ms AND t.threshold = 'SOFT' AND t.arm = p.soft_arm) AS softTold,
            (SELECT count(*) FROM cap_events t WHERE t.cap_id = l.cap_id AND t.start_ms = l.start_ms AND t.threshold = 'HARD' AND t.arm = p.hard_arm) AS hardTold
        FROM journals j JOIN leases l ON l.journal_id = j.id JOIN cap_periods p ON p.cap_id = l.cap_id AND p.start_ms = l.start_ms
        WHERE j.id = @journal AND l.start_ms > @since - 2764800000 AND p.end_ms > @since
        """;

    private const string NoteUseSql = """
        UPDATE leases SET refused = refused + @refused, beyond_pico_usd = @beyond WHERE cap_id = @cap AND start_ms = @start AND journal_id = @journal
        """;

    private const string FindOwnerSql = "SELECT journal_id FROM charges WHERE attempt_id = @attempt AND revision = 0";

    private const string EndExposuresSql = "DELETE FROM exposures WHERE attempt_id = @attempt RETURNING cap_id, amount_pico_usd";

    private static readonly BulkInsert Charge = new(
        "leases",
        [
            ("cap_id", BulkType.Id), ("start_ms", BulkType.Number), ("journal_id", BulkType.Id), ("settled_pico_usd", BulkType.Number),
            ("above_bound_pico_usd", BulkType.Number), ("late_pico_usd", BulkType.Number), ("corrected_pico_usd", BulkType.Number),
            ("requests", BulkType.Number),
        ],
        $"""
        (cap_id, start_ms, journal_id) DO UPDATE SET {Saturating("settled_pico_usd")}, {Saturating("above_bound_pico_usd")},
            {Saturating("late_pico_usd")}, {Saturating("corrected_pico_usd")}, requests = leases.requests + excluded.requests
        """);

    private static readonly BulkInsert Periods = new(
        "cap_periods", [("cap_id", BulkType.Id), ("start_ms", BulkType.Number), ("end_ms", BulkType.Number)], "(cap_id, start_ms) DO NOTHING");

    private static readonly BulkInsert Exposures = new(
        "exposures",
        [
            ("attempt_id", BulkType.Id), ("cap_id", BulkType.Id), ("start_ms", BulkType.Number), ("journal_id", BulkType.Id),
            ("amount_pico_usd", BulkType.Number),
        ],
        "(attempt_id, cap_id) DO NOTHING");

    /// <summary>Keeps others from granting in a period until the transaction ends, and makes its row where there is none.</summary>
    /// <returns>What had been spent in it before the cap was there.</returns>
    public static async Task<Usd> LockPeriodAsync(DbTransaction transaction, bool isCluster, CapId cap, DateTimeOffset start, DateTimeOffset end)
    {
        if (await TryAsync() is { } baseline)
        {
            return baseline;
        }

        await Periods.RunAsync(transaction, [[cap.Value, Ms(start), Ms(end)]]);
        return (await TryAsync())!.Value;

        Task<Usd?> TryAsync() => transaction.Connection!.QuerySingleOrDefaultAsync<Usd?>(
            isCluster ? LockPeriodSql + " FOR UPDATE" : LockPeriodSql, new { cap, start }, transaction);
    }

    /// <summary>Answers an ask; the same number again answers with what the lease is.</summary>
    /// <param name="transaction">A grant that has locked the period.</param>
    /// <param name="cap">The cap as the transaction sees it.</param>
    /// <param name="key">Whose lease.</param>
    /// <param name="baseline">Spent in the period before the cap was there.</param>
    /// <param name="number">The ask's number.</param>
    /// <param name="ask">What is asked.</param>
    /// <param name="now">Now.</param>
    /// <returns>The lease, how the ask ended, whether the limit covers all that is granted, and how the period stands now.</returns>
    public static async Task<(LeaseState State, GrantOutcome Outcome, bool IsCovered, CapFigures Figures)> GrantAsync(
        DbTransaction transaction, Cap cap, LeaseKey key, Usd baseline, long number, LeaseAsk ask, DateTimeOffset now)
    {
        var connection = transaction.Connection!;
        var period = new { cap = key.Cap, start = key.Start, journal = key.Journal, now };
        var rows = (await connection.QueryAsync<Row>(ReadLeasesSql, period, transaction)).AsList();
        if (rows.Count == 0)
        {
            throw new InvalidOperationException($"Journal {key.Journal} is not registered.");
        }

        var own = rows.Find(row => row.Journal == key.Journal) ?? new Row { ShippedThrough = rows[0].ShippedThrough };
        var others = rows.Where(row => row.Journal is { } journal && journal != key.Journal).ToList();
        var standing = new CapStanding
        {
            Limit = cap.Limit,
            Baseline = baseline,
            OthersCommitted = Sum(others, row => row.Committed),
            OthersSpent = Sum(others, row => row.Spent),
            OwnGranted = own.Granted,
            OwnSpent = own.Spent,
            Others = others.Count(row => row.Granted > row.Spent),
        };
        var grant = Granting.Decide(ask, standing);
        if (own.Number >= number)
        {
            // Answered before; the lease may have changed since.
            var outcome = own.Granted - ask.Used >= ask.Least ? GrantOutcome.Granted : grant.Outcome;
            return (own.State, outcome, standing.Covers(own.Granted), FiguresWith(own.Granted));
        }

        await connection.ExecuteAsync(
            SetGrantSql, new { cap = key.Cap, start = key.Start, journal = key.Journal, granted = grant.Granted, number }, transaction);
        if (grant.Outcome == GrantOutcome.Held && others.Exists(row => row.Granted > row.Spent))
        {
            await connection.ExecuteAsync(NoteShortSql, period, transaction);
        }

        return (own.State with { Granted = grant.Granted, Number = number }, grant.Outcome, standing.Covers(grant.Granted), FiguresWith(grant.Granted));

        CapFigures FiguresWith(Usd granted) => new(
            cap.Limit,
            baseline + Sum(others, row => row.Settled) + own.Settled,
            Sum(others, row => row.HeldOf(row.Granted)) + own.HeldOf(granted),
            Sum(others, row => row.Exposed) + own.Exposed);
    }

    /// <summary>All leases of a journal whose period is not over, in one moment.</summary>
    public static async Task<IReadOnlyList<LeaseRow>> ReadOwnAsync(DbConnection connection, JournalId journal, DateTimeOffset since) =>
        [.. (await connection.QueryAsync<OwnRow>(ReadOwnSql, new { journal, since })).Select(row => new LeaseRow(
            row.Cap, new TimeWindow(row.Start, row.End), row.State, row.Baseline + row.SettledByAll, row.HeldByAll, row.ExposedByAll, row.ShortAt, row.SoftTold > 0, row.HardTold > 0))];

    /// <summary>Adds what charges cost to their leases, and makes those and their periods that are not there yet.</summary>
    public static async Task ChargeAsync(DbTransaction transaction, IReadOnlyCollection<(LeaseKey Key, DateTimeOffset End, LeaseSums Sums)> charged)
    {
        await Periods.RunAsync(
            transaction,
            [.. charged.DistinctBy(c => (c.Key.Cap, c.Key.Start)).OrderBy(c => c.Key.Cap.Value).ThenBy(c => c.Key.Start)
                .Select(c => (object?[])[c.Key.Cap.Value, Ms(c.Key.Start), Ms(c.End)])]);
        await Charge.RunAsync(
            transaction,
            [.. charged.OrderBy(c => c.Key.Cap.Value).ThenBy(c => c.Key.Start).ThenBy(c => c.Key.Journal.Value).Select(c => (object?[])
            [
                c.Key.Cap.Value, Ms(c.Key.Start), c.Key.Journal.Value, Saturated(c.Sums.Settled), Saturated(c.Sums.AboveBound), Saturated(c.Sums.Late),
                Saturated(c.Sums.Corrected), c.Sums.Requests,
            ])]);
    }

    public static Task ExposeAsync(DbTransaction transaction, IEnumerable<(AttemptId Attempt, LeaseKey Key, long PicoUsd)> exposed) =>
        Exposures.RunAsync(
            transaction, [.. exposed.Select(e => (object?[])[e.Attempt.Value, e.Key.Cap.Value, Ms(e.Key.Start), e.Key.Journal.Value, e.PicoUsd])]);

    /// <summary>It is known what became of the attempt.</summary>
    /// <returns>What was still held for it.</returns>
    public static async Task<IReadOnlyList<CapHold>> EndExposuresAsync(DbTransaction transaction, AttemptId attempt) =>
        [.. (await transaction.Connection!.QueryAsync<(CapId Cap, long PicoUsd)>(EndExposuresSql, new { attempt }, transaction))
            .Select(ended => new CapHold(ended.Cap, ended.PicoUsd))];

    /// <summary>The journal that made an attempt; null: the ledger does not have it.</summary>
    public static Task<JournalId?> FindOwnerAsync(DbTransaction transaction, AttemptId attempt) =>
        transaction.Connection!.QuerySingleOrDefaultAsync<JournalId?>(FindOwnerSql, new { attempt }, transaction);

    /// <summary>What a silo alone knows of its lease: refusals since it last told, and what its running attempts can cost beyond their holds.</summary>
    public static Task NoteUseAsync(DbTransaction transaction, LeaseKey key, long refused, Usd beyond) =>
        transaction.Connection!.ExecuteAsync(NoteUseSql, new { cap = key.Cap, start = key.Start, journal = key.Journal, refused, beyond = Saturated(beyond) }, transaction);

    /// <summary>A sum that outgrows its row stays at the largest: no true charge may be refused for it.</summary>
    private static string Saturating(string column) => $"""
        {column} = CASE WHEN excluded.{column} <= 0 THEN leases.{column} + excluded.{column}
            WHEN leases.{column} > {long.MaxValue} - excluded.{column} THEN {long.MaxValue} ELSE leases.{column} + excluded.{column} END
        """;

    private static long Saturated(Usd amount) => (long)Int128.Min(amount.PicoUsd, long.MaxValue);

    private static long Ms(DateTimeOffset instant) => instant.ToUnixTimeMilliseconds();

    private static Usd Sum(IEnumerable<Row> rows, Func<Row, Usd> amount) => rows.Aggregate(Usd.Zero, (sum, row) => sum + amount(row));

    private class Row
    {
        public long ShippedThrough { get; init; }

        public JournalId? Journal { get; init; }

        public Usd Granted { get; init; }

        public long Number { get; init; }

        public Usd Settled { get; init; }

        public Usd Exposed { get; init; }

        public Usd Spent => Settled + Exposed;

        public Usd Committed => Spent + HeldOf(Granted);

        public Usd HeldOf(Usd granted) => granted > Spent ? granted - Spent : Usd.Zero;

        public LeaseState State => new(Granted, Number, Settled, Exposed, ShippedThrough);
    }

    private sealed class OwnRow : Row
    {
        public CapId Cap { get; init; }

        public DateTimeOffset Start { get; init; }

        public DateTimeOffset End { get; init; }

        public DateTimeOffset ShortAt { get; init; }

        public Usd Baseline { get; init; }

        public Usd SettledByAll { get; init; }

        public Usd HeldByAll { get; init; }

        public Usd ExposedByAll { get; init; }

        public long SoftTold { get; init; }

        public long HardTold { get; init; }
    }
}
