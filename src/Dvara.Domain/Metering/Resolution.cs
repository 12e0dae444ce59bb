namespace Dvara.Domain.Metering;

/// <summary>Settles an attempt whose outcome was unknown. Pure: what was charged and what is known now give the same row for ever.</summary>
public static class Resolution
{
    /// <summary>The row that makes the rows of an attempt add up to <paramref name="truth"/>: the next revision, every number a signed delta.</summary>
    /// <param name="truth">The attempt as it should have been charged.</param>
    /// <param name="rows">What has been charged for it so far, by revision.</param>
    public static Charge Of(Charge truth, IReadOnlyList<Charge> rows) => truth with
    {
        Revision = rows[^1].Revision + 1,
        Kind = RevisionKind.Resolution,
        Usage = Missing(truth.Usage, [.. rows.Select(row => row.Usage).OfType<TokenUsage>()]),
        Cost = new(truth.Cost.Input - Sum(rows, row => row.Cost.Input), truth.Cost.Output - Sum(rows, row => row.Cost.Output)),
        LowerBound = truth.LowerBound - Sum(rows, row => row.LowerBound),
    };

    /// <summary>What a lower bound counted must go again: it was part of every sum of tokens.</summary>
    private static TokenUsage? Missing(TokenUsage? truth, List<TokenUsage> counted)
    {
        var missing = new TokenUsage
        {
            UncachedInput = MissingOf(usage => usage.UncachedInput),
            CacheRead = MissingOf(usage => usage.CacheRead),
            CacheWrite = MissingOf(usage => usage.CacheWrite),
            Output = MissingOf(usage => usage.Output),
            Reasoning = MissingOf(usage => usage.Reasoning),
            Source = truth?.Source ?? UsageSource.Reported,
        };
        return truth is null && missing == new TokenUsage() ? null : missing;

        // Absent where nobody has ever reported it; a sum that holds a number can only become zero.
        long? MissingOf(Func<TokenUsage, long?> bucket)
        {
            List<long> counts = [.. counted.Select(bucket).OfType<long>()];
            var count = truth is null ? null : bucket(truth);
            return count is null && counts.Count == 0 ? null : checked((count ?? 0) - counts.Sum());
        }
    }

    private static Usd Sum(IReadOnlyList<Charge> rows, Func<Charge, Usd> amount) => rows.Aggregate(Usd.Zero, (sum, row) => sum + amount(row));
}
