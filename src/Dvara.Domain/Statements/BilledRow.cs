using Dvara.Domain.Metering;
using Dvara.Domain.Pricing;

namespace Dvara.Domain.Statements;

/// <summary>What a statement reads of one ledger row: an attempt's first row, or a revision with signed deltas.</summary>
public sealed record BilledRow
{
    public required AttemptId AttemptId { get; init; }

    /// <summary>0 for the attempt's first row; corrections count up.</summary>
    public int Revision { get; init; }

    public RevisionKind Kind { get; init; }

    /// <summary>The attempt's state from this row on.</summary>
    public required ChargeState State { get; init; }

    public required ApiKeyId ApiKeyId { get; init; }

    public required string Provider { get; init; }

    /// <summary>The served model.</summary>
    public required string Model { get; init; }

    public TokenUsage? Usage { get; init; }

    public Cost Cost { get; init; }

    public Usd LowerBound { get; init; }

    public IReadOnlyDictionary<string, string> Tags { get; init; } = Intent.NoTags;
}
