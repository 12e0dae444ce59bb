using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Metering;

namespace Dvara.Server.Budgets;

/// <summary>What is set aside for an attempt in one cap.</summary>
/// <param name="Lease">Out of this lease.</param>
/// <param name="Amount">So much.</param>
/// <param name="Beyond">What the attempt can cost beyond that; only an elastic cap leaves some.</param>
internal readonly record struct HoldPart(CapLease Lease, Usd Amount, Usd Beyond);

/// <summary>Money set aside for one attempt, in every cap that it falls under. It ends exactly once: by release, or by the attempt's charge.</summary>
internal sealed class Hold(BudgetGate gate, CapScope scope, DateTimeOffset at, HoldPart[] parts, CapBook? book, long? outputLimit)
{
    private int _ended;

    /// <summary>The attempt's intent time: it was held in the periods of this instant.</summary>
    public DateTimeOffset At => at;

    /// <summary>The output limit that the gateway must set, tokens per answer; null: none.</summary>
    public long? OutputLimit => outputLimit;

    /// <summary>For the intent; null: nothing is held.</summary>
    public IReadOnlyList<CapHold>? Noted => parts.Length == 0 ? null : Array.ConvertAll(parts, part => new CapHold(part.Lease.Cap.Id, part.Amount.ToRowPicoUsd()));

    /// <summary>The tenant's own cap of which least is left; null: there is none.</summary>
    public CapLease? Tightest
    {
        get
        {
            CapLease? tightest = null;
            foreach (var (lease, _, _) in parts)
            {
                if (lease.Cap.TenantId is not null && (tightest is null || lease.Known.Figures.Remaining < tightest.Known.Figures.Remaining))
                {
                    tightest = lease;
                }
            }

            return tightest;
        }
    }

    /// <summary>The attempt does not happen.</summary>
    public void Release()
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            foreach (var part in parts)
            {
                part.Lease.Release(part);
            }
        }
    }

    /// <summary>The attempt has its charge, durable.</summary>
    /// <param name="charge">Revision 0.</param>
    /// <param name="seq">Its place in the journal.</param>
    public void End(Charge charge, long seq)
    {
        if (Interlocked.Exchange(ref _ended, 1) == 1)
        {
            return;
        }

        // What is unknown or unpriced may still be billed: its hold stays.
        var mayBeBilled = charge.State is ChargeState.Unresolved or ChargeState.Unpriced;
        foreach (var part in parts)
        {
            if (mayBeBilled)
            {
                part.Lease.Expose(part, seq);
            }
            else
            {
                part.Lease.Settle(part, charge.Cost.Total, seq);
            }
        }

        gate.OnCharged(scope, at, parts, book, charge, seq);
    }
}
