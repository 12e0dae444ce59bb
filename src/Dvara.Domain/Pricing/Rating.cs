namespace Dvara.Domain.Pricing;

/// <summary>What one attempt costs, split as statements show it.</summary>
public readonly record struct Cost(Usd Input, Usd Output)
{
    public Usd Total => Input + Output;
}

/// <summary>Turns usage into money. Exact: a token count times an integer rate, added up in 128 bits.</summary>
public static class Rating
{
    /// <summary>The cost of <paramref name="usage"/> at <paramref name="price"/>.</summary>
    /// <remarks>
    /// Absent rates fall back (cached and cache write to input, reasoning to output), so that two rates give exactly
    /// input x rate + output x rate. The per-request amount belongs to the output side.
    /// </remarks>
    /// <exception cref="OverflowException">The amount does not fit a ledger row (about 9.2 million USD).</exception>
    public static Cost Rate(TokenUsage usage, Price price)
    {
        var input = Times(usage.UncachedInput, price.InputRate)
            + Times(usage.CacheRead, price.CachedInputRate ?? price.InputRate)
            + Times(usage.CacheWrite, price.CacheWriteRate ?? price.InputRate);
        var output = Times(usage.Output, price.OutputRate)
            + Times(usage.Reasoning, price.ReasoningRate ?? price.OutputRate)
            + (price.PerRequest ?? Usd.Zero);
        var cost = new Cost(input, output);
        _ = cost.Total.ToRowPicoUsd();
        return cost;
    }

    private static Usd Times(long? tokens, long picoUsdPerToken) => new(checked((Int128)(tokens ?? 0) * picoUsdPerToken));
}
