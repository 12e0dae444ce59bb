using System.Globalization;
using Dvara.Domain.Time;

namespace Dvara.Domain.Statements;

/// <summary>
/// The months that tenants have closed, as the ledger writer's transaction sees them. Decides the billing month of a row at the moment
/// it is inserted, so that no row falls between two statements or into two.
/// </summary>
public sealed class ClosedMonths(IEnumerable<(TenantId Tenant, BillingMonth Month)> closed)
{
    private readonly HashSet<(TenantId, BillingMonth)> _closed = [.. closed];

    /// <summary>The month of the intent, or the first one after it that is still open.</summary>
    public BillingMonth BillingMonthOf(TenantId tenant, DateTimeOffset intentTime)
    {
        // Ends: only ended months are closed, so the current one is always open.
        var month = BillingMonth.Of(intentTime);
        while (_closed.Contains((tenant, month)))
        {
            month = BillingMonth.Of(month.Window.To);
        }

        return month;
    }

    /// <summary>The number of the <paramref name="ordinal"/>th statement (from 1) of a month: <c>DV-2026-04-0001</c>.</summary>
    public static string NumberOf(BillingMonth month, int ordinal) => string.Create(CultureInfo.InvariantCulture, $"DV-{month}-{ordinal:D4}");
}
