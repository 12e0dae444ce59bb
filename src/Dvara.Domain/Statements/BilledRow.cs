using Dvara.Domain.Metering;

namespace Dvara.Domain.Statements;

/// <summary>What a statement reads of one ledger row: an attempt's first row, or a revision with signed deltas.</summary>
/// <param name="IntentTime">The attempt's start, also for a revision.</param>
/// <param name="Kind">Why the row exists.</param>
/// <param name="Provider">Who was called.</param>
/// <param name="Model">The served model.</param>
/// <param name="ApiKeyId">Who called.</param>
/// <param name="Tags">The merged tags of the request.</param>
/// <param name="Tally">What the row adds to any sum.</param>
public sealed record BilledRow(
    DateTimeOffset IntentTime,
    RevisionKind Kind,
    string Provider,
    string Model,
    ApiKeyId ApiKeyId,
    IReadOnlyDictionary<string, string> Tags,
    Tally Tally);
