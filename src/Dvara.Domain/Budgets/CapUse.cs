namespace Dvara.Domain.Budgets;

/// <summary>How far a cap's period is used up.</summary>
public enum CapState
{
    Ok,

    /// <summary>The soft percentage is reached, or was when the last event told so.</summary>
    Soft,

    /// <summary>The limit is reached, or a call was refused for good that it would have let in if nothing had been spent.</summary>
    Hard,
}

/// <summary>What the ledger knows of a cap's period beside its leases.</summary>
public sealed record PeriodUse
{
    /// <summary>Spent before the cap was there.</summary>
    public Usd Baseline { get; init; }

    public long BaselineRequests { get; init; }

    /// <summary>The soft percentage has its event, and nothing has put the spend below it since.</summary>
    public bool SoftTold { get; init; }

    /// <summary>The same of the limit.</summary>
    public bool HardTold { get; init; }
}

/// <summary>What one journal has used of its part of a cap's period.</summary>
public sealed record LeaseUse
{
    public Usd Granted { get; init; }

    public Usd Settled { get; init; }

    /// <summary>Holds of attempts whose outcome is unknown.</summary>
    public Usd Exposed { get; init; }

    public Usd AboveBound { get; init; }

    public Usd Late { get; init; }

    public Usd Corrected { get; init; }

    /// <summary>Settled out of holds that the grant does not cover any more: it was written off while they ran.</summary>
    public Usd AfterWriteOff
    {
        get
        {
            var covered = Granted + AboveBound + Late + Corrected;
            return Settled > covered ? Settled - covered : Usd.Zero;
        }
    }

    /// <summary>What running attempts can cost beyond their holds.</summary>
    public Usd Beyond { get; init; }

    public long Requests { get; init; }

    public long Refused { get; init; }
}

/// <summary>What a cap's period has used, in figures.</summary>
public sealed record CapUse
{
    private CapUse()
    {
    }

    public required CapFigures Figures { get; init; }

    public required Overrun Overrun { get; init; }

    /// <summary>By so much the limit can still be exceeded at most: zero for a strict cap.</summary>
    public required Usd OverrunBound { get; init; }

    public required CapState State { get; init; }

    public required Int128 Requests { get; init; }

    public required Int128 Refused { get; init; }

    public static CapUse Of(Cap cap, PeriodUse period, IReadOnlyCollection<LeaseUse> leases)
    {
        var spent = period.Baseline + Sum(leases, lease => lease.Settled);
        // A lease that was billed above its grant holds nothing; it takes nothing away from the others' holds.
        var held = Sum(leases, lease => NotNegative(lease.Granted - lease.Settled - lease.Exposed));
        return new()
        {
            Figures = new(cap.Limit, spent, held, Sum(leases, lease => lease.Exposed)),
            Overrun = Overrun.Explain(
                spent,
                cap.Limit,
                Sum(leases, lease => lease.AboveBound),
                Sum(leases, lease => lease.Late + lease.AfterWriteOff),
                Sum(leases, lease => lease.Corrected)),
            OverrunBound = Sum(leases, lease => lease.Beyond),
            State = period.HardTold || spent >= cap.Limit ? CapState.Hard
                : period.SoftTold || spent >= cap.SoftThreshold ? CapState.Soft
                : CapState.Ok,
            Requests = leases.Aggregate((Int128)period.BaselineRequests, (sum, lease) => sum + lease.Requests),
            Refused = leases.Aggregate(Int128.Zero, (sum, lease) => sum + lease.Refused),
        };
    }

    /// <summary>Percent of the limit with two decimals, rounded half away from zero; null where the limit is 0.</summary>
    public static decimal? PercentOf(Usd spent, Usd limit)
    {
        if (limit == Usd.Zero)
        {
            return null;
        }

        var magnitude = ((Int128.Abs(spent.PicoUsd) * 20_000) + limit.PicoUsd) / (2 * limit.PicoUsd);
        return (decimal)Int128.CopySign(magnitude, spent.PicoUsd) / 100;
    }

    private static Usd Sum(IReadOnlyCollection<LeaseUse> leases, Func<LeaseUse, Usd> part) =>
        leases.Aggregate(Usd.Zero, (sum, lease) => sum + part(lease));

    private static Usd NotNegative(Usd amount) => amount > Usd.Zero ? amount : Usd.Zero;
}
