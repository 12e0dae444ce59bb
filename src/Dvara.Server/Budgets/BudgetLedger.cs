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

        var tally = new Tally(book);
        foreach (var charge in inserted)
        {
            var owner = charge.Charge.Revision == 0 ? journal : await LeaseStore.FindOwnerAsync(transaction, charge.Charge.Intent.AttemptId) ?? journal;
            tally.Add(charge, owner);
            if (charge.Charge.Revision > 0 && !StaysExposed(charge.Charge.State))
            {
                await LeaseStore.EndExposuresAsync(transaction, charge.Charge.Intent.AttemptId);
            }
        }

        if (tally.Charged.Count == 0)
        {
            return;
        }

        await LeaseStore.ChargeAsync(transaction, [.. tally.Charged.Select(entry => (entry.Key, entry.Value.Period.To, entry.Value.Sums))]);
        await LeaseStore.ExposeAsync(transaction, tally.Exposed);
        // In one order, so that two batches that tell of the same caps do not wait for each other.
        foreach (var (key, (period, _)) in tally.Charged.DistinctBy(entry => (entry.Key.Cap, entry.Key.Start)).OrderBy(entry => entry.Key.Cap.Value))
        {
            await CapEvents.TellAsync(transaction, book.Find(key.Cap)!, period, refused: false, clock.GetUtcNow());
        }
    }

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

    private sealed class Tally(CapBook book)
    {
        private readonly List<Cap> _matching = [];

        public Dictionary<LeaseKey, (TimeWindow Period, LeaseSums Sums)> Charged { get; } = [];

        public List<(AttemptId Attempt, LeaseKey Key, long PicoUsd)> Exposed { get; } = [];

        public void Add(in InsertedCharge inserted, JournalId owner)
        {
            var charge = inserted.Charge;
            var at = charge.Intent.AttemptId.IntentTime;
            _matching.Clear();
            book.Match(new(charge.Intent.TenantId, charge.Intent.ApiKeyId, charge.Intent.Model, charge.Intent.Tags), _matching);
            foreach (var cap in _matching)
            {
                var period = cap.PeriodAt(at);
                if (period.To <= cap.CreatedAt)
                {
                    // Over before the cap was there.
                    continue;
                }

                var key = new LeaseKey(cap.Id, period.From, owner);
                Charged.TryGetValue(key, out var before);
                Charged[key] = (period, before.Sums + SumsOf(inserted, HoldOf(charge, cap)));
                if (charge.Revision == 0 && StaysExposed(charge.State) && HoldOf(charge, cap) is { } hold)
                {
                    Exposed.Add((charge.Intent.AttemptId, key, hold));
                }
            }
        }

        private static LeaseSums SumsOf(in InsertedCharge inserted, long? hold)
        {
            var cost = inserted.Charge.Cost.Total;
            if (inserted.Charge.Revision > 0)
            {
                return new(cost, default, default, cost, inserted.Requests);
            }

            return hold is { } held
                ? new(cost, cost > Usd.FromPico(held) ? cost - Usd.FromPico(held) : default, default, default, inserted.Requests)
                : new(cost, default, cost, default, inserted.Requests);
        }

        private static long? HoldOf(Charge charge, Cap cap)
        {
            foreach (var hold in charge.Intent.Holds ?? [])
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
