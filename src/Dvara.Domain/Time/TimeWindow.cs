namespace Dvara.Domain.Time;

/// <summary>A half-open window of UTC instants: <c>From</c> belongs to it, <c>To</c> does not.</summary>
public readonly record struct TimeWindow(DateTimeOffset From, DateTimeOffset To)
{
    public bool Contains(DateTimeOffset instant) => From <= instant && instant < To;

    /// <summary>The calendar month that holds <paramref name="instant"/> in UTC.</summary>
    public static TimeWindow MonthOf(DateTimeOffset instant)
    {
        var from = new DateTimeOffset(instant.UtcDateTime.Year, instant.UtcDateTime.Month, 1, 0, 0, 0, TimeSpan.Zero);
        return new(from, from.AddMonths(1));
    }

    /// <summary>True when the window is exactly one calendar month in UTC.</summary>
    public bool IsCalendarMonth => From.Year < DateTimeOffset.MaxValue.Year && MonthOf(From) == this;
}

/// <summary>A calendar month as a number that sorts: 202604 for April 2026.</summary>
public readonly record struct BillingMonth(int Value)
{
    public static BillingMonth Of(DateTimeOffset instant) => new((instant.UtcDateTime.Year * 100) + instant.UtcDateTime.Month);

    public TimeWindow Window => TimeWindow.MonthOf(new DateTimeOffset(Value / 100, Value % 100, 1, 0, 0, 0, TimeSpan.Zero));

    public override string ToString() => $"{Value / 100:D4}-{Value % 100:D2}";
}
