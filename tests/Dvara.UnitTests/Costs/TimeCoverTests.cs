using CsCheck;
using Dvara.Server.Costs;
using Xunit;

namespace Dvara.UnitTests.Costs;

public sealed class TimeCoverTests
{
    private const long Hour = TimeCover.HourMs;
    private const long Minute = TimeCover.MinuteMs;
    private const long Day = TimeCover.DayMs;

    private static readonly Gen<long> Instants = Gen.OneOf(
        Gen.Long[-3 * Day, 5 * Day],
        Gen.Long[-72, 120].Select(hour => hour * Hour),
        Gen.Long[-72 * 60, 120 * 60].Select(minute => minute * Minute));

    private static readonly Gen<(long From, long To, long MinutesFrom, long[] RowDays)> Windows = Gen.Select(
        Instants, Instants, Gen.OneOf(Instants, Gen.Const(long.MaxValue)), Gen.Long[-4, 6].Select(day => day * Day).Array[0, 4],
        (one, other, minutes, days) => (Math.Min(one, other), Math.Max(one, other), minutes, days.Distinct().ToArray()));

    [Fact]
    public void Cover_OfAnyWindow_IsTheWindowWithoutGapOrOverlap() =>
        Windows.Sample(w =>
        {
            var pieces = Cover(w);

            Assert.Equal(w.To - w.From, pieces.Sum(p => p.ToMs - p.FromMs));
            Assert.All(pieces.Zip(pieces.Skip(1)), pair => Assert.Equal(pair.First.ToMs, pair.Second.FromMs));
            Assert.All(pieces.Take(1), first => Assert.Equal(w.From, first.FromMs));
        });

    [Fact]
    public void Cover_OfAnyWindow_ReadsRollupsInWholeUnitsOnly() =>
        Windows.Sample(w => Assert.All(Cover(w), piece =>
        {
            var unit = piece.Source switch { CoverSource.Hours => Hour, CoverSource.Minutes => Minute, _ => 1 };
            Assert.Equal(0, piece.FromMs % unit);
            Assert.Equal(0, piece.ToMs % unit);
            Assert.True(piece.Source != CoverSource.Minutes || piece.FromMs >= w.MinutesFrom);
            Assert.True(piece.Source == CoverSource.Rows || !w.RowDays.Any(day => day < piece.ToMs && piece.FromMs < day + Day));
        }));

    [Fact]
    public void Cover_OfAnyWindow_ReadsRowsForLessThanAnHourAtEachEnd() =>
        Windows.Where(w => w.RowDays.Length == 0).Sample(w =>
            Assert.True(Cover(w).Where(p => p.Source == CoverSource.Rows).Sum(p => p.ToMs - p.FromMs) < 2 * Hour));

    [Fact]
    public void Cover_OfAWholeMonth_IsOnePiece() =>
        Assert.Equal([new CoverPiece(CoverSource.Hours, 0, 30 * Day)], TimeCover.Of(0, 30 * Day, 0, []));

    [Fact]
    public void Cover_OfARecentRaggedWindow_TakesHoursThenMinutesThenRows() =>
        Assert.Equal(
            [
                new CoverPiece(CoverSource.Rows, Hour - 1 - Minute, Hour - Minute),
                new CoverPiece(CoverSource.Minutes, Hour - Minute, Hour),
                new CoverPiece(CoverSource.Hours, Hour, 3 * Hour),
                new CoverPiece(CoverSource.Minutes, 3 * Hour, (3 * Hour) + Minute),
                new CoverPiece(CoverSource.Rows, (3 * Hour) + Minute, (3 * Hour) + Minute + 1),
            ],
            TimeCover.Of(Hour - 1 - Minute, (3 * Hour) + Minute + 1, 0, []));

    private static IReadOnlyList<CoverPiece> Cover((long From, long To, long MinutesFrom, long[] RowDays) w) =>
        TimeCover.Of(w.From, w.To, w.MinutesFrom, w.RowDays);
}
