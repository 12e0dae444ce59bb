using Dvara.Domain.Time;

namespace Dvara.Domain.Statements;

/// <summary>Everything billed to one API key for one model of one provider, corrections of earlier months included.</summary>
public sealed record StatementLine(string Provider, string Model, ApiKeyId ApiKeyId, string ApiKeyName, Tally Tally);

/// <summary>Why a statement holds an amount for usage of an earlier month.</summary>
public enum AdjustmentKind
{
    /// <summary>The charge reached the ledger after its own month was closed.</summary>
    Late,
    Reprice,
    Resolution,
    Correction,
}

/// <summary>The part of a line that belongs to usage of an earlier, closed month. Already contained in the lines.</summary>
public sealed record Adjustment(
    BillingMonth UsageMonth, AdjustmentKind Kind, string Provider, string Model, ApiKeyId ApiKeyId, string ApiKeyName, Tally Tally);

public enum TagGroupKind
{
    Value,

    /// <summary>What carries no tag of this key, so that the groups add up to the statement.</summary>
    Untagged,

    /// <summary>All values in one, because there are more than <see cref="StatementSheet.MaxTagValues"/>.</summary>
    Collapsed,
}

public sealed record TagGroup(string Value, TagGroupKind Kind, Tally Tally);

/// <summary>The statement's total split by one tag key.</summary>
public sealed record TagTable(string Key, IReadOnlyList<TagGroup> Groups);

/// <summary>What a statement says, without its header. Lines, and the groups of every tag table, add up to <see cref="Total"/> exactly.</summary>
public sealed record StatementContents(
    IReadOnlyList<StatementLine> Lines, IReadOnlyList<TagTable> Tags, IReadOnlyList<Adjustment> Adjustments)
{
    public Tally Total => Tally.Sum(Lines.Select(line => line.Tally));

    /// <summary>The part of the total that corrects earlier months.</summary>
    public Tally Adjusted => Tally.Sum(Adjustments.Select(adjustment => adjustment.Tally));
}
