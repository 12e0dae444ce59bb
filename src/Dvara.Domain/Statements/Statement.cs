using System.Globalization;
using Dvara.Domain.Time;

namespace Dvara.Domain.Statements;

public enum StatementStatus
{
    /// <summary>A look at a window that closes nothing.</summary>
    Provisional,

    /// <summary>The one statement of a closed month; numbered, and the same for ever.</summary>
    Final,

    /// <summary>Its documents could not be made; asking again makes another.</summary>
    Failed,
}

public enum StatementTrigger
{
    Manual,
    Scheduled,
}

/// <summary>The chargeback report of one tenant for one window.</summary>
public sealed record Statement
{
    public required StatementId Id { get; init; }

    /// <summary>For example <c>DV-2026-04-0001</c>; null unless it closes a month.</summary>
    public string? Number { get; init; }

    public required TenantId TenantId { get; init; }

    public required string TenantName { get; init; }

    public required TimeWindow Window { get; init; }

    public required StatementStatus Status { get; init; }

    public required StatementTrigger Trigger { get; init; }

    /// <summary>When the month was closed, or the provisional one asked for.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    public required StatementContents Contents { get; init; }

    /// <summary>The number of the <paramref name="ordinal"/>th statement, from 1, of a month.</summary>
    public static string NumberOf(BillingMonth month, long ordinal) => string.Create(CultureInfo.InvariantCulture, $"DV-{month}-{ordinal:D4}");

    /// <summary>The name of its files, without extension.</summary>
    public string FileName => Number ?? Id.ToString();
}
