using Dvara.Domain.Time;

namespace Dvara.Domain.Statements;

/// <summary>
/// Which month bills a charge. Asked at the moment the row is inserted, with the months that its tenant has closed by then, so that no
/// charge falls between two statements or into two.
/// </summary>
public static class BillingCalendar
{
    /// <summary>The month of the intent, or the first one after it that is still open.</summary>
    /// <param name="intentTime">The attempt's start, also for a correction.</param>
    /// <param name="closedMonths">The tenant's, as <see cref="BillingMonth.Value"/>.</param>
    /// <remarks>
    /// The clock is not asked: where it lags behind the one that closed a month, "now" may itself lie in a closed month. The loop ends,
    /// because only ended months are ever closed.
    /// </remarks>
    public static BillingMonth MonthOf(DateTimeOffset intentTime, IReadOnlySet<int> closedMonths)
    {
        var month = BillingMonth.Of(intentTime);
        while (closedMonths.Contains(month.Value))
        {
            month = BillingMonth.Of(month.Window.To);
        }

        return month;
    }
}
