using System.Data.Common;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Metering;
using Dvara.Domain.Time;
using Dvara.Server.Metering;

namespace Dvara.Server.Budgets;

/// <summary>
/// Charges the caps in the very transaction in which charges enter the ledger, whether they had a hold or not, so that what a cap has spent
/// is what its scope's rows add up to.
/// </summary>
internal sealed class BudgetLedger(CapBookState caps, TimeProvider clock) : ILedgerParticipant
{
    private readonly KeyLines _lines = new();

    // Of the last batch that found the silo's own book out of date.
    private CapBook _read = CapBook.Empty;

    public async Task OnInsertedAsync(
        DbTransaction transaction, JournalId journal, IReadOnlyList<InsertedCharge> inserted, CancellationToken cancellationToken)
    {
        var book = await BookAsync(transaction);
        if (book.IsEmpty || inserted.Count == 0)
        {
            return;
        }

        var tally = new Tally(book, await _lines.FindAsync(transaction, inserted.Select(charge => charge.Charge.Intent.ApiKeyId)));
        foreach (var charge in inserted)
        {
            if (charge.Charge.Revision == 0)
            {
                tally.Add(charge, journal);
                continue;
            }

            var attempt = charge.Charge.Intent.AttemptId;
            var owner = await LeaseStore.FindOwnerAsync(transaction, attempt) ?? journal;
            // A ledger that is fed again may get an attempt and its resolution at once.
            IReadOnlyList<CapHold> ended = StaysExposed(charge.Charge.State) ? []
                : tally.EndExposures(attempt) is { Count: > 0 } ofBatch ? ofBatch
                : await LeaseStore.EndExposuresAsync(transaction, attempt);
            tally.Add(charge, owner, ended);
        }

        if (tally.Charged.Count == 0)
        {
            return;
        }

        await LeaseStore.ChargeAsync(transaction, [.. tally.Charged.Select(entry => (entry.Key, entry.Value.Period.To, entry.Value.Sums))]);
        await LeaseStore.ExposeAsync(transaction, tally.Exposed);
        await CapEvents.TellDueAsync(
            transaction,
            [.. tally.Charged.DistinctBy(entry => (entry.Key.Cap, entry.Key.Start)).Select(entry => (book.Find(entry.Key.Cap)!, entry.Value.Period))],
            clock.GetUtcNow());
    }

    /// <summary>Nothing of the journal runs any more: what it has not used goes back.</summary>
    public Task OnClosedAsync(DbTransaction transaction, JournalId journal) => JournalLeaseStore.GiveBackAsync(transaction, journal, clock.GetUtcNow());

    /// <summary>The outcome is unknown, or no price is: what was held may still be billed.</summary>
    private static bool StaysExposed(ChargeState state) => state is ChargeState.Unresolved or ChargeState.Unpriced;

    /// <summary>The caps in force: batches and new caps exclude each other, so that a charge is either in a new cap's baseline or added to it.</summary>
    private async Task<CapBook> BookAsync(DbTransaction transaction)
    {
        var generation = await CapStore.ReadGenerationAsync(transaction.Connection!, transaction);
        if (caps.Current is { } current && current.Generation == generation)
        {
            return current;
        }

        if (_read.Generation != generation)
        {
            _read = await CapStore.ReadBookAsync(transaction.Connection!, transaction);
        }

        return _read;
    }

    /// <param name="book">The caps in force.</param>
    /// <param name="lines">The lines of the batch's keys.</param>
    private sealed class Tally(CapBook book, IReadOnlyDictionary<ApiKeyId, KeyLineId> lines)
    {
        private readonly List<Cap> _matching = [];

        // Charges of a batch lie close together: most need no calendar.
        private readonly Dictionary<CapId, TimeWindow> _periods = [];

        public Dictionary<LeaseKey, (TimeWindow Period, LeaseSums Sums)> Charged { get; } = [];

        public List<(AttemptId Attempt, LeaseKey Key, long PicoUsd)> Exposed { get; } = [];

        /// <summary>Takes an attempt's exposures back that this very batch has brought.</summary>
        public List<CapHold> EndExposures(AttemptId attempt)
        {
            List<CapHold> ended = [.. Exposed.Where(exposed => exposed.Attempt == attempt).Select(exposed => new CapHold(exposed.Key.Cap, exposed.PicoUsd))];
            Exposed.RemoveAll(exposed => exposed.Attempt == attempt);
            return ended;
        }

        /// <param name="inserted">A charge.</param>
        /// <param name="owner">The journal that made its attempt.</param>
        /// <param name="ended">What was still held for the attempt until this revision.</param>
        public void Add(in InsertedCharge inserted, JournalId owner, IReadOnlyList<CapHold>? ended = null)
        {
            var charge = inserted.Charge;
            var intent = charge.Intent;
            var at = intent.AttemptId.IntentTime;
            _matching.Clear();
            book.Match(new(intent.TenantId, lines[intent.ApiKeyId], intent.Provider, intent.Model, intent.Tags), _matching);
            foreach (var cap in _matching)
            {
                var period = PeriodOf(cap, at);
                if (period.To <= cap.CreatedAt)
                {
                    // Over before the cap was there.
                    continue;
                }

                var key = new LeaseKey(cap.Id, period.From, owner);
                Charged.TryGetValue(key, out var before);
                Charged[key] = (period, before.Sums + (charge.Revision > 0 ? SumsOfRevision(inserted, HoldOf(ended, cap)) : SumsOf(inserted, HoldOf(charge.Intent.Holds, cap))));
                if (charge.Revision == 0 && StaysExposed(charge.State) && HoldOf(charge.Intent.Holds, cap) is { } hold)
                {
                    Exposed.Add((charge.Intent.AttemptId, key, hold));
                }
            }
        }

        private TimeWindow PeriodOf(Cap cap, DateTimeOffset at) =>
            _periods.TryGetValue(cap.Id, out var period) && period.Contains(at) ? period : _periods[cap.Id] = cap.PeriodAt(at);

        private static LeaseSums SumsOf(in InsertedCharge inserted, long? hold)
        {
            var cost = inserted.Charge.Cost.Total;
            return hold is { } held
                ? new(cost, cost > Usd.FromPico(held) ? cost - Usd.FromPico(held) : default, default, default, inserted.Requests)
                : new(cost, default, cost, default, inserted.Requests);
        }

        private static LeaseSums SumsOfRevision(in InsertedCharge inserted, long? ended)
        {
            var cost = inserted.Charge.Cost.Total;
            var corrected = ended is not { } held ? cost : cost > Usd.FromPico(held) ? cost - Usd.FromPico(held) : default;
            return new(cost, default, default, corrected, inserted.Requests);
        }

        private static long? HoldOf(IReadOnlyList<CapHold>? holds, Cap cap)
        {
            foreach (var hold in holds ?? [])
            {
                if (hold.Cap == cap.Id)
                {
                    return hold.PicoUsd;
                }
            }

            return null;
        }
    }
}
