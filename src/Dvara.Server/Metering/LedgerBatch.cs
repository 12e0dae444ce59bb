using System.Data.Common;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Statements;
using Dvara.Domain.Time;

namespace Dvara.Server.Metering;

/// <summary>
/// One batch of one journal on its way into the ledger: charges, rollups, participants, seal and the journal's progress, all in the
/// caller's transaction. Idempotent: what the journal's standing covers is skipped, so that a batch whose commit was not heard of can be
/// sent again, and rows that are there already count nothing.
/// </summary>
internal sealed class LedgerBatch(
    JournalId journal, long epoch, JournalOptions options, IReadOnlyList<ILedgerParticipant> participants, TimeProvider clock)
{
    /// <returns>The charges that were really new.</returns>
    /// <exception cref="JournalTakenOverException">Another process has opened the journal since.</exception>
    public async Task<IReadOnlyList<Charge>> WriteAsync(
        DbTransaction transaction, IReadOnlyList<JournaledCharge> batch, CancellationToken cancellationToken)
    {
        var standing = await ReadStandingAsync(transaction);
        IReadOnlyList<JournaledCharge> missing = [.. batch.SkipWhile(charge => charge.Seq <= standing.ShippedThrough)];
        if (missing.Count == 0)
        {
            return [];
        }

        var rows = await InsertAsync(transaction, missing, cancellationToken);
        await FeedRollupsAsync(transaction, rows, cancellationToken);
        IReadOnlyList<Charge> inserted = [.. rows.Select(row => row.Charge)];
        foreach (var participant in participants)
        {
            await participant.OnInsertedAsync(transaction, inserted, cancellationToken);
        }

        await AdvanceAsync(transaction, standing, missing, rows);
        return inserted;
    }

    /// <summary>Puts a charge that the engine refuses aside, whole, and moves on.</summary>
    /// <exception cref="JournalTakenOverException">Another process has opened the journal since.</exception>
    public async Task QuarantineAsync(DbTransaction transaction, JournaledCharge charge, string reason)
    {
        var standing = await ReadStandingAsync(transaction);
        if (charge.Seq <= standing.ShippedThrough)
        {
            return;
        }

        await LedgerStore.QuarantineAsync(transaction, journal, charge, reason, clock.GetUtcNow());
        await AdvanceAsync(transaction, standing, [charge], []);
    }

    private async Task<JournalStanding> ReadStandingAsync(DbTransaction transaction)
    {
        var standing = await LedgerStore.ReadStandingAsync(transaction, journal);
        return standing.Epoch == epoch ? standing : throw new JournalTakenOverException(journal, epoch);
    }

    private async Task<List<ChargeRow>> InsertAsync(
        DbTransaction transaction, IReadOnlyList<JournaledCharge> batch, CancellationToken cancellationToken)
    {
        using var insert = LedgerStore.InsertCharge(transaction);
        var closed = new Dictionary<TenantId, HashSet<int>>();
        var rows = new List<ChargeRow>(batch.Count);
        foreach (var journaled in batch)
        {
            var counts = await CountsAsync(transaction, journaled.Charge);
            var month = await BillingMonthAsync(transaction, closed, journaled.Charge.Intent);
            var row = ChargeRow.Of(journal, journaled, counts, month);
            if (insert.Run(row.Values) == 1)
            {
                rows.Add(row);
            }
        }

        return rows;
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

    /// <summary>The month of the intent; where that is closed, the next open one. Closed is closed.</summary>
    private static async Task<BillingMonth> BillingMonthAsync(
        DbTransaction transaction, Dictionary<TenantId, HashSet<int>> closed, Intent intent)
    {
        if (!closed.TryGetValue(intent.TenantId, out var months))
        {
            closed.Add(intent.TenantId, months = await LedgerStore.ReadClosedMonthsAsync(transaction, intent.TenantId));
        }

        return BillingCalendar.MonthOf(intent.AttemptId.IntentTime, months);
    }

    private async Task FeedRollupsAsync(DbTransaction transaction, List<ChargeRow> rows, CancellationToken cancellationToken)
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
