using CsCheck;
using Dvara.Domain.Time;
using Dvara.Server.Audit;
using Xunit;

namespace Dvara.UnitTests.Audit;

public sealed class AuditFilterTests
{
    private static readonly DateTimeOffset Start = new(2026, 4, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Ids are compared as the engine compares them: byte by byte, most significant first.</summary>
    [Fact]
    public void Bounds_SelectExactlyTheEventsOfTheWindow()
    {
        var instant = Gen.Long[0, 10 * TimeSpan.TicksPerMillisecond].Select(ticks => Start.AddTicks(ticks));
        Gen.Select(instant, instant, instant).Sample((a, b, at) =>
        {
            var window = new TimeWindow(a < b ? a : b, a < b ? b : a);
            // An event is stamped in whole milliseconds, as its row is.
            var stamped = DateTimeOffset.FromUnixTimeMilliseconds(at.ToUnixTimeMilliseconds());
            var id = Guid.CreateVersion7(stamped).ToByteArray(bigEndian: true);

            var filter = AuditFilter.Of(window, after: null);

            var selected = id.AsSpan().SequenceCompareTo(filter.From.ToByteArray(bigEndian: true)) >= 0
                && id.AsSpan().SequenceCompareTo(filter.Before.ToByteArray(bigEndian: true)) < 0;
            return selected == window.Contains(stamped);
        });
    }

    [Fact]
    public void Ids_SortAsTheEngineSortsThem() => Gen.Select(Gen.Guid, Gen.Guid).Sample((a, b) =>
        Math.Sign(a.CompareTo(b)) == Math.Sign(a.ToByteArray(bigEndian: true).AsSpan().SequenceCompareTo(b.ToByteArray(bigEndian: true))));

    [Fact]
    public void OpenWindow_IsTheWholeOfTime()
    {
        var filter = AuditFilter.Of(new(DateTimeOffset.MinValue, DateTimeOffset.MaxValue), after: null);

        Assert.Equal(Guid.Empty, filter.From);
        Assert.True(filter.Before > Guid.CreateVersion7(DateTimeOffset.MaxValue.AddDays(-1)));
    }

    [Fact]
    public void Cursor_NarrowsTheEnd_AndNeverWidensIt()
    {
        var window = new TimeWindow(Start, Start.AddDays(1));
        var (within, beyond) = (Guid.CreateVersion7(Start.AddHours(1)), Guid.CreateVersion7(Start.AddDays(2)));

        Assert.Equal(within, AuditFilter.Of(window, within).Before);
        Assert.Equal(AuditFilter.Of(window, null).Before, AuditFilter.Of(window, beyond).Before);
    }
}
