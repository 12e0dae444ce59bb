using Dvara.Domain.Metering;
using Dvara.Domain.Time;

namespace Dvara.Domain.Statements;

/// <summary>
/// Adds ledger rows up into a statement, in any order. Takes them one by one, so that memory grows with the lines and not with the rows.
/// </summary>
/// <param name="window">The statement's window; a row with an earlier intent is an adjustment.</param>
public sealed class StatementSheet(TimeWindow window)
{
    /// <summary>Values of one tag key that are told apart; beyond it they are shown as one group.</summary>
    public const int MaxTagValues = 1000;

    private readonly Dictionary<Subject, Tally> _lines = [];
    private readonly Dictionary<(BillingMonth Month, AdjustmentKind Kind, Subject Subject), Tally> _adjustments = [];
    private readonly TagSheet _tags = new();

    public void Add(BilledRow row)
    {
        if (row.Tally == default)
        {
            // A failed attempt: it did nothing billable, and makes no line.
            return;
        }

        var subject = new Subject(row.Provider, row.Model, row.ApiKeyId);
        _lines[subject] = _lines.GetValueOrDefault(subject) + row.Tally;
        _tags.Add(row.Tags, row.Tally);
        if (row.IntentTime < window.From)
        {
            var adjustment = (BillingMonth.Of(row.IntentTime), KindOf(row.Kind), subject);
            _adjustments[adjustment] = _adjustments.GetValueOrDefault(adjustment) + row.Tally;
        }
    }

    /// <param name="keyNames">Names of the tenant's keys, deleted ones included; a key without one is shown by its id.</param>
    public StatementContents Close(IReadOnlyDictionary<ApiKeyId, string> keyNames)
    {
        var lines = _lines
            .Select(entry => new StatementLine(
                entry.Key.Provider, entry.Key.Model, entry.Key.ApiKeyId, NameOf(entry.Key.ApiKeyId), entry.Value))
            .OrderBy(line => line.Provider, StringComparer.Ordinal)
            .ThenBy(line => line.Model, StringComparer.Ordinal)
            .ThenBy(line => line.ApiKeyName, StringComparer.Ordinal)
            .ThenBy(line => line.ApiKeyId.Value)
            .ToList();
        var adjustments = _adjustments
            .Select(entry => new Adjustment(
                entry.Key.Month,
                entry.Key.Kind,
                entry.Key.Subject.Provider,
                entry.Key.Subject.Model,
                entry.Key.Subject.ApiKeyId,
                NameOf(entry.Key.Subject.ApiKeyId),
                entry.Value))
            .OrderBy(adjustment => adjustment.UsageMonth.Value)
            .ThenBy(adjustment => adjustment.Kind)
            .ThenBy(adjustment => adjustment.Provider, StringComparer.Ordinal)
            .ThenBy(adjustment => adjustment.Model, StringComparer.Ordinal)
            .ThenBy(adjustment => adjustment.ApiKeyName, StringComparer.Ordinal)
            .ThenBy(adjustment => adjustment.ApiKeyId.Value)
            .ToList();
        return new(lines, _tags.Close(Tally.Sum(lines.Select(line => line.Tally))), adjustments);

        string NameOf(ApiKeyId key) => keyNames.GetValueOrDefault(key) ?? key.ToString();
    }

    private static AdjustmentKind KindOf(RevisionKind kind) => kind switch
    {
        RevisionKind.Reprice => AdjustmentKind.Reprice,
        RevisionKind.Resolution => AdjustmentKind.Resolution,
        RevisionKind.Correction => AdjustmentKind.Correction,
        _ => AdjustmentKind.Late,
    };

    private readonly record struct Subject(string Provider, string Model, ApiKeyId ApiKeyId);
}
