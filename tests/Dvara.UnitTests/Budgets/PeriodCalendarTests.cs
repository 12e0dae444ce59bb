using System.Globalization;
using CsCheck;
using Dvara.Domain.Budgets;
using Dvara.Domain.Time;
using NodaTime;
using Xunit;

namespace Dvara.UnitTests.Budgets;

public sealed class PeriodCalendarTests
{
    /// <summary>There are some 600 zones.</summary>
    private const int Samples = 5_000;

    private static readonly string[] Zones = [.. DateTimeZoneProviders.Tzdb.Ids];

    /// <summary>Half of them within a day of a moment at which the zone's clock jumps.</summary>
    private static readonly Gen<(CapPeriod Period, string Zone, DateTimeOffset At)> Any =
        from period in Gen.Enum<CapPeriod>()
        from zone in Gen.OneOf(Zones)
        from ms in Gen.Long[-3_000_000_000_000, 4_000_000_000_000]
        from near in Gen.Long[-86_400_000, 86_400_000]
        from isNear in Gen.Bool
        select (period, zone, isNear ? Jump(zone, ms).AddMilliseconds(near) : DateTimeOffset.FromUnixTimeMilliseconds(ms));

    [Theory]
    // The clock goes forward, and back.
    [InlineData(CapPeriod.Daily, "Europe/Berlin", "2026-03-29T12:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z")]
    [InlineData(CapPeriod.Daily, "Europe/Berlin", "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z")]
    [InlineData(CapPeriod.Daily, "America/New_York", "2026-03-08T12:00Z", "2026-03-08T05:00Z", "2026-03-09T04:00Z")]
    [InlineData(CapPeriod.Daily, "America/New_York", "2026-11-01T12:00Z", "2026-11-01T04:00Z", "2026-11-02T05:00Z")]
    [InlineData(CapPeriod.Weekly, "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-22T23:00Z", "2026-03-29T22:00Z")]
    [InlineData(CapPeriod.Monthly, "Europe/Berlin", "2026-10-31T22:59Z", "2026-09-30T22:00Z", "2026-10-31T23:00Z")]
    // Midnight is skipped: the day begins at one.
    [InlineData(CapPeriod.Daily, "America/Sao_Paulo", "2018-11-04T03:00Z", "2018-11-04T03:00Z", "2018-11-05T02:00Z")]
    [InlineData(CapPeriod.Daily, "America/Sao_Paulo", "2018-11-04T02:59Z", "2018-11-03T03:00Z", "2018-11-04T03:00Z")]
    [InlineData(CapPeriod.Daily, "Asia/Beirut", "2026-03-29T12:00Z", "2026-03-28T22:00Z", "2026-03-29T21:00Z")]
    // Midnight comes twice: the day begins at the first, and what the clock shows of the old day after that is the new one's.
    [InlineData(CapPeriod.Daily, "Asia/Beirut", "2026-10-24T20:30Z", "2026-10-23T21:00Z", "2026-10-24T22:00Z")]
    [InlineData(CapPeriod.Daily, "America/Havana", "2018-11-04T05:30Z", "2018-11-04T04:00Z", "2018-11-05T05:00Z")]
    [InlineData(CapPeriod.Daily, "America/St_Johns", "2006-10-29T03:00Z", "2006-10-29T02:30Z", "2006-10-30T03:30Z")]
    [InlineData(CapPeriod.Daily, "America/St_Johns", "2006-10-29T02:29Z", "2006-10-28T02:30Z", "2006-10-29T02:30Z")]
    // 30 December 2011 was skipped.
    [InlineData(CapPeriod.Daily, "Pacific/Apia", "2011-12-30T09:59Z", "2011-12-29T10:00Z", "2011-12-30T10:00Z")]
    [InlineData(CapPeriod.Daily, "Pacific/Apia", "2011-12-30T10:00Z", "2011-12-30T10:00Z", "2011-12-31T10:00Z")]
    [InlineData(CapPeriod.Monthly, "Pacific/Apia", "2011-12-30T09:59Z", "2011-12-01T10:00Z", "2011-12-31T10:00Z")]
    [InlineData(CapPeriod.Daily, "Asia/Kolkata", "2026-04-10T18:29Z", "2026-04-09T18:30Z", "2026-04-10T18:30Z")]
    // Leap day, ends of months, weeks from Monday, the change of the year.
    [InlineData(CapPeriod.Daily, "UTC", "2028-02-29T23:59Z", "2028-02-29T00:00Z", "2028-03-01T00:00Z")]
    [InlineData(CapPeriod.Monthly, "UTC", "2028-02-29T23:59Z", "2028-02-01T00:00Z", "2028-03-01T00:00Z")]
    [InlineData(CapPeriod.Monthly, "UTC", "2026-02-28T23:59Z", "2026-02-01T00:00Z", "2026-03-01T00:00Z")]
    [InlineData(CapPeriod.Monthly, "Asia/Kolkata", "2026-01-31T18:30Z", "2026-01-31T18:30Z", "2026-02-28T18:30Z")]
    [InlineData(CapPeriod.Weekly, "UTC", "2026-04-12T23:59Z", "2026-04-06T00:00Z", "2026-04-13T00:00Z")]
    [InlineData(CapPeriod.Weekly, "UTC", "2026-04-13T00:00Z", "2026-04-13T00:00Z", "2026-04-20T00:00Z")]
    [InlineData(CapPeriod.Weekly, "UTC", "2027-01-01T00:00Z", "2026-12-28T00:00Z", "2027-01-04T00:00Z")]
    [InlineData(CapPeriod.Monthly, "America/New_York", "2027-01-01T04:59Z", "2026-12-01T05:00Z", "2027-01-01T05:00Z")]
    public void Period_OfAnInstant_IsThatOfTheZonesCalendar(CapPeriod period, string zone, string at, string from, string to) =>
        Assert.Equal(new TimeWindow(Instant(from), Instant(to)), PeriodCalendar.PeriodAt(period, zone, Instant(at)));

    [Fact]
    public void Periods_InAnyZone_HaveNeitherGapNorOverlap() =>
        Any.Sample((period, zone, at) =>
        {
            var window = PeriodCalendar.PeriodAt(period, zone, at);

            Assert.True(window.Contains(at));
            Assert.Equal(window.From, PeriodCalendar.PeriodAt(period, zone, window.From.AddTicks(-1)).To);
            Assert.Equal(window.To, PeriodCalendar.PeriodAt(period, zone, window.To).From);
        }, iter: Samples);

    [Fact]
    public void EveryInstantOfAPeriod_GivesTheSamePeriod() =>
        Gen.Select(Any, Gen.Double[0, 1]).Sample((any, part) =>
        {
            var window = PeriodCalendar.PeriodAt(any.Period, any.Zone, any.At);

            Assert.Equal(window, PeriodCalendar.PeriodAt(any.Period, any.Zone, window.From));
            Assert.Equal(window, PeriodCalendar.PeriodAt(any.Period, any.Zone, window.From + ((window.To - window.From) * (part * 0.999))));
            Assert.Equal(window, PeriodCalendar.PeriodAt(any.Period, any.Zone, window.To.AddTicks(-1)));
        }, iter: Samples);

    [Fact]
    public void EveryPeriod_BeginsAtMidnight_OrWhereTheClockSkipsIt() =>
        Any.Sample((period, zone, at) =>
        {
            var from = Local(zone, PeriodCalendar.PeriodAt(period, zone, at).From);

            var interval = from.Zone.GetZoneInterval(from.ToInstant());
            if (interval.HasStart && interval.Start == from.ToInstant())
            {
                // After a jump.
                return;
            }

            Assert.Equal(LocalTime.Midnight, from.TimeOfDay);
            Assert.True(period != CapPeriod.Weekly || from.DayOfWeek == IsoDayOfWeek.Monday);
            Assert.True(period != CapPeriod.Monthly || from.Day == 1);
        }, iter: Samples);

    /// <summary>A day has 24 hours, but for what the clock jumps within it; so do all the days of a week or a month.</summary>
    [Fact]
    public void Length_IsThatOfTheDays_ButForTheJumps() =>
        Any.Where(any => any.At.Year >= 2012).Sample((period, zone, at) =>
        {
            var window = PeriodCalendar.PeriodAt(period, zone, at);
            var (from, to) = (Local(zone, window.From), Local(zone, window.To));

            var days = Period.DaysBetween(from.Date, to.Date);
            Assert.Equal(
                TimeSpan.FromDays(days) + (to.TimeOfDay - from.TimeOfDay).ToDuration().ToTimeSpan() - (to.Offset - from.Offset).ToTimeSpan(),
                window.To - window.From);
            var (least, most) = period switch { CapPeriod.Daily => (1, 1), CapPeriod.Weekly => (7, 7), _ => (28, 31) };
            Assert.InRange(days, least, most);
        }, iter: Samples);

    [Theory]
    [InlineData("Europe/Berlin", true)]
    [InlineData("UTC", true)]
    [InlineData("Asia/Calcutta", true)]
    [InlineData("europe/berlin", false)]
    [InlineData("W. Europe Standard Time", false)]
    [InlineData("Berlin", false)]
    [InlineData("+02:00", false)]
    [InlineData("", false)]
    public void Zone_IsOneOfIana_InItsSpelling(string id, bool isZone)
    {
        Assert.Equal(isZone, PeriodCalendar.IsZone(id));
        if (!isZone)
        {
            Assert.Throws<ArgumentException>(() => PeriodCalendar.PeriodAt(CapPeriod.Daily, id, DateTimeOffset.UnixEpoch));
        }
    }

    private static DateTimeOffset Instant(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);

    private static ZonedDateTime Local(string zone, DateTimeOffset at) =>
        NodaTime.Instant.FromDateTimeOffset(at).InZone(DateTimeZoneProviders.Tzdb[zone]);

    private static DateTimeOffset Jump(string zone, long ms)
    {
        var interval = DateTimeZoneProviders.Tzdb[zone].GetZoneInterval(NodaTime.Instant.FromUnixTimeMilliseconds(ms));
        return interval.HasEnd ? interval.End.ToDateTimeOffset() : DateTimeOffset.FromUnixTimeMilliseconds(ms);
    }
}
