using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Metering;

namespace Dvara.Server.Budgets;

/// <summary>Money set aside for one attempt, in every cap that it falls under. It ends exactly once: by release, or by the attempt's charge.</summary>
internal sealed class Hold(BudgetGate gate, CapScope scope, DateTimeOffset at, (CapLease Lease, Usd Amount)[] parts, long? outputLimit)
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
            foreach (var (lease, _) in parts)
            {
                if (lease.Cap.TenantId is not null && (tightest is null || lease.Known.Remaining < tightest.Known.Remaining))
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
            foreach (var (lease, amount) in parts)
            {
                lease.Release(amount);
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

        foreach (var (lease, amount) in parts)
        {
            switch (charge.State)
            {
                // It may still be billed: nobody knows how much.
                case ChargeState.Unresolved or ChargeState.Unpriced:
                    lease.Slice.Expose(amount, seq);
                    break;
                default:
                    lease.Settle(amount, charge.Cost.Total, seq);
                    break;
            }
        }

        gate.OnCharged(scope, at, parts, charge, seq);
    }
}
