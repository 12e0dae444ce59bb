using Dvara.Domain.Metering;
using Dvara.Domain.Time;

namespace Dvara.Domain.Statements;

/// <summary>
/// Adds ledger rows up into a statement. Takes them one by one, so that memory grows with the lines and not with the rows.
/// </summary>
/// <param name="window">The statement's window; a row with an earlier intent is an adjustment.</param>
public sealed class StatementSheet(TimeWindow window)
{
    /// <summary>Values of one tag key that are told apart; beyond it they are shown as one group.</summary>
    public const int MaxTagValues = 1000;

    private readonly Dictionary<(string Provider, string Model, ApiKeyId Key), Tally> _lines = [];
    private readonly Dictionary<(BillingMonth, AdjustmentKind, string Provider, string Model, ApiKeyId Key), Tally> _adjustments = [];
    private readonly TagSheet _tags = new();
    private readonly List<BilledRow> _attempt = [];

    /// <summary>Adds a row. Rows come ordered by attempt and revision.</summary>
    /// <exception cref="ArgumentException">The order is broken.</exception>
    public void Add(BilledRow row)
    {
        if (_attempt.Count > 0)
        {
            var last = _attempt[^1];
            if (last.AttemptId != row.AttemptId)
            {
                CountAttempt();
            }
            else if (last.Revision >= row.Revision)
            {
                throw new ArgumentException($"Attempt {row.AttemptId} has revision {row.Revision} after {last.Revision}.", nameof(row));
            }
        }

        _attempt.Add(row);
        Put(row, Amounts(row));
    }

    /// <param name="keyNames">Names of the tenant's keys, deleted ones included; a key without one is shown by its id.</param>
    public StatementContents Close(IReadOnlyDictionary<ApiKeyId, string> keyNames)
    {
        CountAttempt();
        var lines = _lines
            .Where(entry => entry.Value != default)
            .Select(entry => new StatementLine(entry.Key.Provider, entry.Key.Model, entry.Key.Key, NameOf(entry.Key.Key), entry.Value))
            .OrderBy(line => line.Provider, StringComparer.Ordinal)
            .ThenBy(line => line.Model, StringComparer.Ordinal)
            .ThenBy(line => line.ApiKeyName, StringComparer.Ordinal)
            .ThenBy(line => line.ApiKeyId.Value)
            .ToList();
        var adjustments = _adjustments
            .Where(entry => entry.Value != default)
            .Select(entry => new Adjustment(
                entry.Key.Item1, entry.Key.Item2, entry.Key.Provider, entry.Key.Model, entry.Key.Key, NameOf(entry.Key.Key), entry.Value))
            .OrderBy(a => a.UsageMonth.Value)
            .ThenBy(a => a.Kind)
            .ThenBy(a => a.Provider, StringComparer.Ordinal)
            .ThenBy(a => a.Model, StringComparer.Ordinal)
            .ThenBy(a => a.ApiKeyName, StringComparer.Ordinal)
            .ThenBy(a => a.ApiKeyId.Value)
            .ToList();
        return new(lines, _tags.Close(Tally.Sum(lines.Select(line => line.Tally))), adjustments);

        string NameOf(ApiKeyId key) => keyNames.GetValueOrDefault(key) ?? key.ToString();
    }

    /// <summary>What a row adds whatever becomes of its attempt. An unresolved one adds nothing but its lower bound.</summary>
    private static Tally Amounts(BilledRow row)
    {
        if (row.State == ChargeState.Unresolved)
        {
            return new Tally { UnresolvedLowerBound = row.LowerBound, InputCost = row.Cost.Input, OutputCost = row.Cost.Output };
        }

        var usage = row.Usage ?? new TokenUsage();
        return new Tally
        {
            InputTokens = usage.InputTokens,
            CachedInputTokens = usage.CacheRead ?? 0,
            CacheWriteTokens = usage.CacheWrite ?? 0,
            OutputTokens = usage.OutputTokens,
            ReasoningTokens = usage.Reasoning ?? 0,
            InputCost = row.Cost.Input,
            OutputCost = row.Cost.Output,
            UnresolvedLowerBound = row.LowerBound,
        };
    }

    /// <summary>Counts the attempt whose rows are complete: by its newest state, and as a request where its first row is billed.</summary>
    private void CountAttempt()
    {
        if (_attempt.Count == 0)
        {
            return;
        }

        var (first, newest) = (_attempt[0], _attempt[^1]);
        _attempt.Clear();
        Put(newest, new Tally
        {
            Requests = first.Revision == 0 && newest.State != ChargeState.Failed ? 1 : 0,
            Estimated = newest.State == ChargeState.Estimated ? 1 : 0,
            Unpriced = newest.State == ChargeState.Unpriced ? 1 : 0,
            Unresolved = newest.State == ChargeState.Unresolved ? 1 : 0,
        });
    }

    private void Put(BilledRow row, Tally tally)
    {
        if (tally == default)
        {
            return;
        }

        var line = (row.Provider, row.Model, row.ApiKeyId);
        _lines[line] = _lines.GetValueOrDefault(line) + tally;
        _tags.Add(row.Tags, tally);

        var intentTime = row.AttemptId.IntentTime;
        if (intentTime < window.From)
        {
            var adjustment = (BillingMonth.Of(intentTime), KindOf(row), row.Provider, row.Model, row.ApiKeyId);
            _adjustments[adjustment] = _adjustments.GetValueOrDefault(adjustment) + tally;
        }
    }

    private static AdjustmentKind KindOf(BilledRow row) => row.Kind switch
    {
        RevisionKind.Reprice => AdjustmentKind.Reprice,
        RevisionKind.Resolution => AdjustmentKind.Resolution,
        RevisionKind.Correction => AdjustmentKind.Correction,
        _ => AdjustmentKind.Late,
    };
}
