using CsCheck;
using Dvara.Domain;
using Xunit;

namespace Dvara.UnitTests;

public sealed class Uuid7Tests
{
    /// <summary>Coarser than the 244 ns that an id tells apart.</summary>
    private const long Apart = 3;

    private static readonly Gen<DateTimeOffset> Instant =
        Gen.Long[DateTimeOffset.UnixEpoch.Ticks, DateTimeOffset.MaxValue.Ticks - Apart].Select(ticks => new DateTimeOffset(ticks, TimeSpan.Zero));

    [Fact]
    public void At_ALaterTick_SortsLater() =>
        Gen.Select(Instant, Gen.Long[Apart, TimeSpan.TicksPerMinute]).Where((at, later) => at.Ticks <= DateTimeOffset.MaxValue.Ticks - later)
            .Sample((at, later) => string.CompareOrdinal(Uuid7.At(at).ToString(), Uuid7.At(at.AddTicks(later)).ToString()) < 0);

    [Fact]
    public void At_AnyInstant_IsAVersion7OfItsMilliseconds() =>
        Instant.Sample(at =>
        {
            var id = Uuid7.At(at);
            return id.Version == 7 && (id.Variant & 0xC) == 8
                && new AttemptId(id).IntentTime.ToUnixTimeMilliseconds() == at.ToUnixTimeMilliseconds();
        });

    [Fact]
    public void FirstAt_SortsBelowTheIdsOfItsMillisecond_AndAboveEarlierOnes() =>
        Instant.Where(at => at.Ticks > DateTimeOffset.UnixEpoch.Ticks + TimeSpan.TicksPerMillisecond).Sample(at =>
        {
            var whole = DateTimeOffset.FromUnixTimeMilliseconds(at.ToUnixTimeMilliseconds());
            return Uuid7.FirstAt(whole) < Uuid7.At(at) && Uuid7.FirstAt(whole) > Uuid7.At(whole.AddTicks(-1));
        });

    [Fact]
    public void FirstAt_BetweenTwoMilliseconds_IsOfTheLater() =>
        Assert.Equal(Uuid7.FirstAt(DateTimeOffset.UnixEpoch.AddMilliseconds(8)), Uuid7.FirstAt(DateTimeOffset.UnixEpoch.AddMilliseconds(7).AddTicks(1)));

    [Fact]
    public void FirstAt_BeforeTheEpoch_IsTheLowestOfAll() => Assert.Equal(Guid.Empty, Uuid7.FirstAt(DateTimeOffset.MinValue));

    [Fact]
    public void At_TheSameInstant_GivesAnotherId() => Assert.NotEqual(Uuid7.At(DateTimeOffset.UnixEpoch), Uuid7.At(DateTimeOffset.UnixEpoch));
}
