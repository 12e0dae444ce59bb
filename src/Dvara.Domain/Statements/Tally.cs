namespace Dvara.Domain.Statements;

/// <summary>
/// Counts and money that add up: the figures of a line, a table row or a whole statement. Token counts are whole
/// (<see cref="InputTokens"/> contains the cached ones, <see cref="OutputTokens"/> the reasoning ones). All may be negative in a correction.
/// </summary>
public readonly record struct Tally
{
    /// <summary>Requests with a billable attempt; the ledger says on each row whether it brings its request along.</summary>
    public long Requests { get; init; }

    public long InputTokens { get; init; }

    public long CachedInputTokens { get; init; }

    public long CacheWriteTokens { get; init; }

    public long OutputTokens { get; init; }

    public long ReasoningTokens { get; init; }

    public Usd InputCost { get; init; }

    public Usd OutputCost { get; init; }

    public Usd TotalCost => InputCost + OutputCost;

    /// <summary>Requests whose tokens we counted ourselves.</summary>
    public long Estimated { get; init; }

    /// <summary>Requests whose usage is known and whose price is not: in the tokens, not in the money.</summary>
    public long Unpriced { get; init; }

    /// <summary>Requests whose outcome is unknown: not in the money.</summary>
    public long Unresolved { get; init; }

    /// <summary>What the unresolved requests have cost at least. Part of no total.</summary>
    public Usd UnresolvedLowerBound { get; init; }

    public static Tally operator +(Tally left, Tally right) => new()
    {
        Requests = checked(left.Requests + right.Requests),
        InputTokens = checked(left.InputTokens + right.InputTokens),
        CachedInputTokens = checked(left.CachedInputTokens + right.CachedInputTokens),
        CacheWriteTokens = checked(left.CacheWriteTokens + right.CacheWriteTokens),
        OutputTokens = checked(left.OutputTokens + right.OutputTokens),
        ReasoningTokens = checked(left.ReasoningTokens + right.ReasoningTokens),
        InputCost = left.InputCost + right.InputCost,
        OutputCost = left.OutputCost + right.OutputCost,
        Estimated = checked(left.Estimated + right.Estimated),
        Unpriced = checked(left.Unpriced + right.Unpriced),
        Unresolved = checked(left.Unresolved + right.Unresolved),
        UnresolvedLowerBound = left.UnresolvedLowerBound + right.UnresolvedLowerBound,
    };

    public static Tally operator -(Tally value) => new()
    {
        Requests = checked(-value.Requests),
        InputTokens = checked(-value.InputTokens),
        CachedInputTokens = checked(-value.CachedInputTokens),
        CacheWriteTokens = checked(-value.CacheWriteTokens),
        OutputTokens = checked(-value.OutputTokens),
        ReasoningTokens = checked(-value.ReasoningTokens),
        InputCost = -value.InputCost,
        OutputCost = -value.OutputCost,
        Estimated = checked(-value.Estimated),
        Unpriced = checked(-value.Unpriced),
        Unresolved = checked(-value.Unresolved),
        UnresolvedLowerBound = -value.UnresolvedLowerBound,
    };

    public static Tally operator -(Tally left, Tally right) => left + -right;

    public static Tally Sum(IEnumerable<Tally> tallies) => tallies.Aggregate(default(Tally), (sum, tally) => sum + tally);
}
