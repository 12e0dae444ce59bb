namespace Dvara.Domain.Budgets;

/// <summary>How a cap's period stands, in the figures that callers and operators are shown: the same ones wherever they are shown.</summary>
/// <param name="Limit">In force.</param>
/// <param name="Spent">Charged.</param>
/// <param name="Held">Granted, and neither charged nor exposed.</param>
/// <param name="Exposure">Holds of attempts that may still be billed.</param>
public readonly record struct CapFigures(Usd Limit, Usd Spent, Usd Held, Usd Exposure)
{
    /// <summary>What is neither spent nor set aside; never negative.</summary>
    public Usd Remaining => Limit - Spent - Held - Exposure is var left && left > Usd.Zero ? left : Usd.Zero;
}
