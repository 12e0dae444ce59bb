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
    public void At_TheSameInstant_GivesAnotherId() => Assert.NotEqual(Uuid7.At(DateTimeOffset.UnixEpoch), Uuid7.At(DateTimeOffset.UnixEpoch));
}
