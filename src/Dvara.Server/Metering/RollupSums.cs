namespace Dvara.Server.Metering;

/// <summary>Which row of a rollup table a charge feeds.</summary>
/// <param name="TagKey">Lower case; null in the tables without tags.</param>
internal readonly record struct RollupKey(
    long StartMs, Guid Tenant, Guid ApiKey, string Provider, string Model, string? TagKey, string? TagValue);

/// <summary>What the charges of a batch add to one row of a rollup table; the measures of <see cref="RollupStore"/>, in its order.</summary>
internal sealed class RollupSums
{
    private readonly long[] _measures = new long[13];

    public IEnumerable<object?> Measures => _measures.Select(measure => (object?)measure);

    /// <exception cref="OverflowException">A sum of one hour, key and model needs more than 64 bits (about 9.2 million USD).</exception>
    public void Add(ChargeRow row)
    {
        var (charge, counts) = (row.Charge, row.Counts);
        var usage = charge.Usage;
        ReadOnlySpan<long> added =
        [
            counts.Requests,
            usage?.UncachedInput ?? 0,
            usage?.CacheRead ?? 0,
            usage?.CacheWrite ?? 0,
            usage?.Output ?? 0,
            usage?.Reasoning ?? 0,
            charge.Cost.Input.ToRowPicoUsd(),
            charge.Cost.Output.ToRowPicoUsd(),
            counts.Estimated,
            counts.Unpriced,
            counts.Unresolved,
            charge.LowerBound.ToRowPicoUsd(),
            counts.Failed,
        ];
        for (var i = 0; i < added.Length; i++)
        {
            _measures[i] = checked(_measures[i] + added[i]);
        }
    }
}
