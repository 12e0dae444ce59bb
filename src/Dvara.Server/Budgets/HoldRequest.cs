using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Pricing;

namespace Dvara.Server.Budgets;

/// <summary>An attempt that needs money set aside, as far as its request says what it can cost.</summary>
internal sealed record HoldRequest
{
    public required CapScope Scope { get; init; }

    /// <summary>The most that it can cost; null: no price is known, neither of the model nor of anything else of its provider.</summary>
    public required AttemptBound? Bound { get; init; }

    /// <summary>By which <see cref="Bound"/> is worked out: what has changed until the attempt begins is not what was held for it.</summary>
    public required Price? Price { get; init; }

    /// <summary>False: the model itself has no price, and its bound is the dearest of its provider's.</summary>
    public required bool IsPriced { get; init; }

    /// <summary>A smaller bound that costs more to work out, asked for where <see cref="Bound"/> does not fit; null: there is none.</summary>
    public Func<AttemptBound>? Tighter { get; init; }

    /// <summary>Output tokens that bound the attempt whatever the gateway does: the client's own limit; null: it set none.</summary>
    public long? OutputLimit { get; init; }

    /// <summary>True: the provider may not know the name under which the client set its limit, so the gateway sends it under the other one, too.</summary>
    public bool SendsOutputLimit { get; init; }

    /// <summary>The model's own maximum, where it is known.</summary>
    public long? OutputMax { get; init; }

    /// <summary>The tenant's ceiling of a single call; null: none.</summary>
    public Usd? PerCallMax { get; init; }
}

/// <summary>Why an attempt may not be dispatched.</summary>
internal enum HoldRefusal
{
    /// <summary>It does not fit in what is left of the cap.</summary>
    Exhausted,

    /// <summary>It alone may cost more than the cap's whole limit.</summary>
    TooLarge,

    /// <summary>It would fit if running calls had ended; they did not in time.</summary>
    Held,

    /// <summary>It alone costs more than the tenant allows of a single call.</summary>
    PerCall,

    /// <summary>Nothing is known of its price, and a cap must know.</summary>
    Unpriced,

    /// <summary>Nobody could say what is left.</summary>
    Unavailable,
}

/// <summary>How the gate decided.</summary>
/// <param name="Hold">What was set aside; null: refused.</param>
/// <param name="Refusal">Why; null: admitted.</param>
/// <param name="Cap">The cap that refused, and as it was known to stand.</param>
internal readonly record struct HoldDecision(Hold? Hold, HoldRefusal? Refusal, CapLease? Cap)
{
    public static HoldDecision Admit(Hold hold) => new(hold, null, null);

    public static HoldDecision Refuse(HoldRefusal refusal, CapLease? cap = null) => new(null, refusal, cap);
}
