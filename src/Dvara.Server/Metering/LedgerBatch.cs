using System.Data.Common;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Statements;
using Dvara.Domain.Time;
using Dvara.Server.Hosting;

namespace Dvara.Server.Metering;

/// <summary>
/// One batch of one journal on its way into the ledger: charges, rollups, participants, seal and the journal's progress, all in the
/// caller's transaction. Idempotent: what the journal's standing covers is skipped, so that a batch whose commit was not heard of can be
/// sent again, and rows that are there already count nothing.
/// </summary>
internal sealed class LedgerBatch(
    JournalId journal, long epoch, SiloName silo, JournalOptions options, IReadOnlyList<ILedgerParticipant> participants, TimeProvider clock)
{
    /// <param name="transaction">A ledger write.</param>
    /// <param name="batch">In journal order.</param>
    /// <param name="after">Where the batch before it ended, as far as the writer knows.</param>
    /// <param name="cancellationToken">Gives the batch up.</param>
    /// <returns>The charges that were really new.</returns>
    /// <exception cref="LedgerWentBackException">The ledger has lost batches that it had acknowledged.</exception>
    /// <exception cref="JournalTakenOverException">Another process has opened the journal since.</exception>
    public async Task<IReadOnlyList<Charge>> WriteAsync(
        DbTransaction transaction, IReadOnlyList<JournaledCharge> batch, long after, CancellationToken cancellationToken)
    {
        var standing = await ReadStandingAsync(transaction, after);

        // A retry whose first commit was not heard of, or not confirmed, has written the journal's row: its own commit covers the first one.
        IReadOnlyList<JournaledCharge> missing = [.. batch.SkipWhile(charge => charge.Seq <= standing.ShippedThrough)];
        if (missing.Count == 0)
        {
            return [];
        }

        var rows = await AddAsync(transaction, missing, cancellationToken);
        await AdvanceAsync(transaction, standing, missing, rows);
        return [.. rows.Select(row => row.Charge)];
    }

    /// <summary>Brings in what is missing of charges that the journal's standing covers; it stays where it is.</summary>
    /// <returns>How many were missing.</returns>
    /// <exception cref="LedgerWentBackException">The standing does not cover them.</exception>
    /// <exception cref="JournalTakenOverException">Another process has opened the journal since.</exception>
    public async Task<int> WriteAgainAsync(DbTransaction transaction, IReadOnlyList<JournaledCharge> batch)
    {
        await ReadStandingAsync(transaction, after: batch[^1].Seq);
        return (await AddAsync(transaction, batch, CancellationToken.None)).Count;
    }

    /// <summary>Puts a charge that the engine refuses aside, whole, and moves on.</summary>
    /// <exception cref="JournalTakenOverException">Another process has opened the journal since.</exception>
    public async Task QuarantineAsync(DbTransaction transaction, JournaledCharge charge, string reason)
    {
        var standing = await ReadStandingAsync(transaction);
        await LedgerStore.QuarantineAsync(transaction, journal, charge, reason, clock.GetUtcNow());
        if (charge.Seq > standing.ShippedThrough)
        {
            await AdvanceAsync(transaction, standing, [charge], []);
        }
    }

    /// <summary>Says that the journal is open and how much waits in it, and looks whether the ledger still has what it had.</summary>
    /// <param name="transaction">A ledger write.</param>
    /// <param name="after">Where the last batch ended, as far as the writer knows.</param>
    /// <param name="unshipped">Charges that wait.</param>
    /// <exception cref="LedgerWentBackException">The ledger has lost batches that it had acknowledged.</exception>
    /// <exception cref="JournalTakenOverException">Another process has opened the journal since.</exception>
    public Task LookAsync(DbTransaction transaction, long after, int unshipped) => ReadStandingAsync(transaction, after, unshipped);

    /// <summary>Tells a ledger that has forgotten it that this process has the journal open.</summary>
    public Task RegisterAgainAsync(DbTransaction transaction) =>
        LedgerStore.RegisterAgainAsync(transaction, journal, silo.Name, epoch, clock.GetUtcNow());

    /// <summary>
    /// How the journal stands, at <paramref name="after"/> at least, its row locked: of two transactions of one batch the second sees what
    /// the first has done.
    /// </summary>
    private async Task<JournalStanding> ReadStandingAsync(DbTransaction transaction, long after = 0, int? unshipped = null)
    {
        await LedgerStore.NoteSeenAsync(transaction, journal, epoch, clock.GetUtcNow(), unshipped);
        var standing = await LedgerStore.ReadStandingAsync(transaction, journal);
        if (standing is null || standing.Epoch < epoch)
        {
            throw new LedgerWentBackException(standing?.ShippedThrough ?? 0, forgotten: true);
        }

        return standing.Epoch > epoch ? throw new JournalTakenOverException(journal, epoch)
            : standing.ShippedThrough < after ? throw new LedgerWentBackException(standing.ShippedThrough)
            : standing;
    }

    /// <returns>The rows that were really new.</returns>
    private async Task<List<ChargeRow>> AddAsync(DbTransaction transaction, IReadOnlyList<JournaledCharge> batch, CancellationToken cancellationToken)
    {
        var rows = await InsertAsync(transaction, batch, cancellationToken);
        await FeedRollupsAsync(transaction, rows);
        IReadOnlyList<InsertedCharge> inserted = [.. rows.Select(row => new InsertedCharge(row.Charge, row.Counts.Requests))];
        foreach (var participant in participants)
        {
            await participant.OnInsertedAsync(transaction, journal, inserted, cancellationToken);
        }

        return rows;
    }

    private async Task<List<ChargeRow>> InsertAsync(
        DbTransaction transaction, IReadOnlyList<JournaledCharge> batch, CancellationToken cancellationToken)
    {
        var oldest = batch.Min(journaled => journaled.Charge.Intent.AttemptId.IntentTime);
        var closed = await LedgerStore.ReadClosedMonthsAsync(transaction, BillingMonth.Of(oldest));
        var inserted = new List<ChargeRow>(batch.Count);
        var waiting = new List<ChargeRow>(batch.Count);
        var requestsWaiting = new HashSet<RequestId>();
        foreach (var journaled in batch)
        {
            var intent = journaled.Charge.Intent;
            if (!requestsWaiting.Add(intent.RequestId))
            {
                // Its counts depend on rows that wait.
                inserted.AddRange(await LedgerStore.InsertAsync(transaction, waiting));
                waiting = [];
                requestsWaiting = [intent.RequestId];
            }

            cancellationToken.ThrowIfCancellationRequested();
            var counts = await CountsAsync(transaction, journaled.Charge);
            // The month of the intent; where that is closed, the next open one. Closed is closed.
            var month = BillingCalendar.MonthOf(intent.AttemptId.IntentTime, closed[intent.TenantId].ToHashSet());
            waiting.Add(ChargeRow.Of(journal, journaled, counts, month));
        }

        inserted.AddRange(await LedgerStore.InsertAsync(transaction, waiting));
        return inserted;
    }

    private static async Task<ChargeCounts> CountsAsync(DbTransaction transaction, Charge charge)
    {
        var intent = charge.Intent;
        var before = charge.Revision == 0
            ? null
            : await LedgerStore.ReadStateBeforeAsync(transaction, intent.AttemptId, charge.Revision);

        // Attempts come in order: the first one's original finds nothing, and asking for each would cost every charge a look-up.
        var request = intent.Attempt > 1 || charge.Revision > 0
            ? await LedgerStore.ReadRequestAsync(transaction, intent.RequestId, intent.AttemptId)
            : default;
        return ChargeCounts.Of(charge.State, before, request);
    }

    private async Task FeedRollupsAsync(DbTransaction transaction, List<ChargeRow> rows)
    {
        var rollups = new Rollups(journal, options.TagValuesMax);
        rows.ForEach(rollups.Add);
        await rollups.WriteAsync(transaction);
    }

    private async Task AdvanceAsync(
        DbTransaction transaction, JournalStanding standing, IReadOnlyList<JournaledCharge> batch, List<ChargeRow> rows)
    {
        var range = (First: batch[0].Seq, Last: batch[^1].Seq);
        var digest = LedgerDigest.Of(standing.Digest, journal, range, rows.Select(row => row.Values));
        if (!await LedgerStore.AdvanceAsync(transaction, journal, epoch, range, rows.Count, digest, clock.GetUtcNow()))
        {
            throw new JournalTakenOverException(journal, epoch);
        }
    }
}

/// <summary>The journal's row says that a later process writes it: this one must stop.</summary>
internal sealed class JournalTakenOverException(JournalId journal, long epoch) : Exception(
    $"Journal {journal} was opened by another process after epoch {epoch}. Two processes must never share a data folder; this one stops.");

/// <summary>
/// The ledger stands before a batch that it had acknowledged: it was restored, or failed over to a server that lacked its last commits. What
/// is missing is in the journal still, for as long as shipped charges are kept.
/// </summary>
/// <param name="shippedThrough">Where it stands now.</param>
/// <param name="forgotten">True: even that this process opened the journal is lost.</param>
internal sealed class LedgerWentBackException(long shippedThrough, bool forgotten = false)
    : Exception($"The ledger went back: it has this journal only up to {shippedThrough}.")
{
    public long ShippedThrough => shippedThrough;

    public bool Forgotten => forgotten;
}
