namespace Dvara.Server.Costs;

/// <summary>
/// What a set of charges adds up to. Token buckets are disjoint, as in the ledger. 128 bits throughout: a sum of rows may need more than
/// the 64 that a row has.
/// </summary>
internal readonly record struct Sums
{
    /// <summary>Requests with a billable attempt; the ledger writer says on each row whether it brings its request along.</summary>
    public Int128 Requests { get; init; }

    public Int128 UncachedInput { get; init; }

    public Int128 CacheRead { get; init; }

    public Int128 CacheWrite { get; init; }

    public Int128 Output { get; init; }

    public Int128 Reasoning { get; init; }

    public Int128 InputCostPicoUsd { get; init; }

    public Int128 OutputCostPicoUsd { get; init; }

    public Int128 EstimatedRequests { get; init; }

    public Int128 UnpricedRequests { get; init; }

    public Int128 UnresolvedRequests { get; init; }

    public Int128 UnresolvedLowerBoundPicoUsd { get; init; }

    public Int128 FailedAttempts { get; init; }

    public Int128 CostPicoUsd => InputCostPicoUsd + OutputCostPicoUsd;

    /// <summary>The whole input, cached parts included.</summary>
    public Int128 InputTokens => UncachedInput + CacheRead + CacheWrite;

    /// <summary>The whole output, reasoning included.</summary>
    public Int128 OutputTokens => Output + Reasoning;

    public bool IsZero => this == default;

    public static Sums operator +(Sums left, Sums right) => new()
    {
        Requests = left.Requests + right.Requests,
        UncachedInput = left.UncachedInput + right.UncachedInput,
        CacheRead = left.CacheRead + right.CacheRead,
        CacheWrite = left.CacheWrite + right.CacheWrite,
        Output = left.Output + right.Output,
        Reasoning = left.Reasoning + right.Reasoning,
        InputCostPicoUsd = left.InputCostPicoUsd + right.InputCostPicoUsd,
        OutputCostPicoUsd = left.OutputCostPicoUsd + right.OutputCostPicoUsd,
        EstimatedRequests = left.EstimatedRequests + right.EstimatedRequests,
        UnpricedRequests = left.UnpricedRequests + right.UnpricedRequests,
        UnresolvedRequests = left.UnresolvedRequests + right.UnresolvedRequests,
        UnresolvedLowerBoundPicoUsd = left.UnresolvedLowerBoundPicoUsd + right.UnresolvedLowerBoundPicoUsd,
        FailedAttempts = left.FailedAttempts + right.FailedAttempts,
    };

    public static Sums operator -(Sums value) => new()
    {
        Requests = -value.Requests,
        UncachedInput = -value.UncachedInput,
        CacheRead = -value.CacheRead,
        CacheWrite = -value.CacheWrite,
        Output = -value.Output,
        Reasoning = -value.Reasoning,
        InputCostPicoUsd = -value.InputCostPicoUsd,
        OutputCostPicoUsd = -value.OutputCostPicoUsd,
        EstimatedRequests = -value.EstimatedRequests,
        UnpricedRequests = -value.UnpricedRequests,
        UnresolvedRequests = -value.UnresolvedRequests,
        UnresolvedLowerBoundPicoUsd = -value.UnresolvedLowerBoundPicoUsd,
        FailedAttempts = -value.FailedAttempts,
    };
}
