namespace Dvara.Domain.Budgets;

/// <summary>What a cap's spend exceeds its limit by, with its causes. None is negative, and they add up to it exactly.</summary>
/// <param name="AboveBound">
/// Billed above what was held: by providers above the most that the calls could cost by what they asked for, or, under an elastic cap, above
/// what such calls usually cost.
/// </param>
/// <param name="Late">
/// Charged without a hold in force: calls of before every silo knew the cap, or of while it was disabled, and calls of a journal whose part had
/// been written off by then.
/// </param>
/// <param name="Corrected">Revisions of charges that had been settled for less, beyond what was still held for them.</param>
/// <param name="LimitLowered">The limit was set below what had been spent, or held, by then.</param>
public readonly record struct Overrun(Usd AboveBound, Usd Late, Usd Corrected, Usd LimitLowered)
{
    public Usd Total => AboveBound + Late + Corrected + LimitLowered;

    /// <summary>Lays the overrun upon what is recorded of each cause, in the order of the parameters; the rest is the limit's.</summary>
    /// <param name="spent">In the period.</param>
    /// <param name="limit">In force.</param>
    /// <param name="aboveBound">Billed above holds, in the period.</param>
    /// <param name="late">Charged without a hold, in the period.</param>
    /// <param name="corrected">Signed sum of revisions, but for what was held for them; a credit explains nothing.</param>
    public static Overrun Explain(Usd spent, Usd limit, Usd aboveBound, Usd late, Usd corrected)
    {
        var rest = Int128.Max(0, spent.PicoUsd - limit.PicoUsd);
        return new(Take(aboveBound, ref rest), Take(late, ref rest), Take(corrected, ref rest), new(rest));
    }

    private static Usd Take(Usd recorded, ref Int128 rest)
    {
        var taken = Int128.Clamp(recorded.PicoUsd, 0, rest);
        rest -= taken;
        return new(taken);
    }
}
