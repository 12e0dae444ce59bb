using Dvara.Domain.Time;
using NodaTime;
using NodaTime.TimeZones;

namespace Dvara.Domain.Budgets;

/// <summary>
/// Days, weeks and months of a time zone as windows of UTC instants. The zones are NodaTime's own, not the machine's: silos with other
/// versions of the system's would disagree on where a period ends.
/// </summary>
public static class PeriodCalendar
{
    /// <summary>Midnight; where the clock shows it twice the first, where it skips it the first instant after.</summary>
    private static readonly ZoneLocalMappingResolver Midnight =
        Resolvers.CreateMappingResolver(Resolvers.ReturnEarlier, Resolvers.ReturnStartOfIntervalAfter);

    /// <summary>True when <paramref name="id"/> is an IANA zone, such as <c>Europe/Berlin</c>, in its exact spelling.</summary>
    public static bool IsZone(string id) => DateTimeZoneProviders.Tzdb.GetZoneOrNull(id) is not null;

    /// <summary>The period that holds <paramref name="instant"/>.</summary>
    /// <exception cref="ArgumentException"><paramref name="zone"/> is none.</exception>
    public static TimeWindow PeriodAt(CapPeriod period, string zone, DateTimeOffset instant)
    {
        var of = DateTimeZoneProviders.Tzdb.GetZoneOrNull(zone) ?? throw new ArgumentException($"{zone} is no IANA time zone.", nameof(zone));
        var window = PeriodOf(period, Instant.FromDateTimeOffset(instant).InZone(of).Date, of);
        // A clock that goes back over midnight shows the old day again, after the new one has begun.
        return instant < window.To ? window : PeriodOf(period, Instant.FromDateTimeOffset(window.To).InZone(of).Date, of);
    }

    private static TimeWindow PeriodOf(CapPeriod period, LocalDate day, DateTimeZone zone)
    {
        var (first, next) = period switch
        {
            CapPeriod.Daily => (day, day.PlusDays(1)),
            CapPeriod.Weekly => (day.PlusDays(1 - (int)day.DayOfWeek), day.PlusDays(8 - (int)day.DayOfWeek)),
            _ => (new LocalDate(day.Year, day.Month, 1), new LocalDate(day.Year, day.Month, 1).PlusMonths(1)),
        };
        return new(StartOf(first, zone), StartOf(next, zone));
    }

    private static DateTimeOffset StartOf(LocalDate day, DateTimeZone zone) => zone.ResolveLocal(day.AtMidnight(), Midnight).ToInstant().ToDateTimeOffset();
}
