using System.Globalization;
using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Xunit;

namespace Dvara.UnitTests.Budgets;

public sealed class CapUseTests
{
    private static readonly Gen<LeaseUse> Lease = Gen.Select(Gen.Long, Gen.Long, Gen.Long[0, long.MaxValue], (granted, settled, exposed) =>
        new LeaseUse { Granted = Usd.FromPico(granted), Settled = Usd.FromPico(settled), Exposed = Usd.FromPico(exposed) });

    [Fact]
    public void Figures_OfAnyLeases_NeverGoBelowZero_AndRemainingIsWhatIsLeft() =>
        Gen.Select(Gen.Long, Gen.Long[0, 9_000_000_000_000_000_000], Lease.Array[0, 5]).Sample((baseline, limit, leases) =>
        {
            var use = CapUse.Of(CapOf(Usd.FromPico(limit)), new() { Baseline = Usd.FromPico(baseline) }, leases);

            var figures = use.Figures;
            Assert.True(figures.Held >= Usd.Zero && figures.Remaining >= Usd.Zero && use.Overrun.Total >= Usd.Zero);
            var left = Usd.FromPico(limit) - figures.Spent - figures.Held - figures.Exposure;
            Assert.Equal(left > Usd.Zero ? left : Usd.Zero, figures.Remaining);
        });

    [Fact]
    public void Held_IsSummedLeaseByLease()
    {
        LeaseUse[] leases =
        [
            new() { Granted = Of("5"), Settled = Of("1"), Exposed = Of("1.5"), Requests = 2, Refused = 1 },
            // Billed above its grant: the others' holds stay what they are.
            new() { Granted = Of("2"), Settled = Of("4"), AboveBound = Of("2"), Requests = 1 },
            new() { Granted = Of("0.25"), Refused = 3 },
        ];

        var use = CapUse.Of(CapOf(Of("10")), new() { Baseline = Of("3"), BaselineRequests = 7 }, leases);

        Assert.Equal((new CapFigures(Of("10"), Of("8"), Of("2.75"), Of("1.5")), Usd.Zero), (use.Figures, use.Figures.Remaining));
        Assert.Equal((10, 4), ((int)use.Requests, (int)use.Refused));
    }

    [Fact]
    public void Overrun_OfHoldsThatWereWrittenOffWhileTheyRan_IsLate()
    {
        LeaseUse[] leases =
        [
            // 1 was used when it was written off; 3 more came in later, 0.5 of them above their hold.
            new() { Granted = Of("1"), Settled = Of("4"), AboveBound = Of("0.5") },
            new() { Granted = Of("9"), Settled = Of("9") },
        ];

        var use = CapUse.Of(CapOf(Of("10")), new(), leases);

        Assert.Equal(new Overrun(Of("0.5"), Of("2.5"), Usd.Zero, Usd.Zero), use.Overrun);
    }

    [Theory]
    [InlineData("10", 80, "7.999999999999", false, false, CapState.Ok)]
    [InlineData("10", 80, "8", false, false, CapState.Soft)]
    [InlineData("10", 80, "9.999999999999", false, false, CapState.Soft)]
    [InlineData("10", 80, "10", false, false, CapState.Hard)]
    [InlineData("10", 100, "9.999999999999", false, false, CapState.Ok)]
    [InlineData("10", null, "9.999999999999", false, false, CapState.Ok)]
    [InlineData("10", 80, "1", true, false, CapState.Soft)]
    [InlineData("10", 80, "1", true, true, CapState.Hard)]
    [InlineData("10", null, "1", false, true, CapState.Hard)]
    [InlineData("0", 80, "0", false, false, CapState.Hard)]
    [InlineData("0.000000000001", 1, "0", false, false, CapState.Ok)]
    public void State_IsWhatIsReachedOrTold(string limit, int? softPct, string spent, bool softTold, bool hardTold, CapState state)
    {
        var period = new PeriodUse { Baseline = Of(spent), SoftTold = softTold, HardTold = hardTold };

        Assert.Equal(state, CapUse.Of(CapOf(Of(limit)) with { SoftPct = softPct }, period, []).State);
    }

    [Theory]
    [InlineData("0", "10", "0")]
    [InlineData("4", "10", "40")]
    [InlineData("1", "3", "33.33")]
    [InlineData("2", "3", "66.67")]
    [InlineData("0.00005", "1", "0.01")]
    [InlineData("0.000049999999", "1", "0")]
    [InlineData("-0.00005", "1", "-0.01")]
    [InlineData("10", "9", "111.11")]
    [InlineData("9000000", "0.000000000001", "900000000000000000000")]
    public void Percent_IsRoundedHalfAwayFromZero(string spent, string limit, string percent) =>
        Assert.Equal(percent, CapUse.PercentOf(Of(spent), Of(limit))!.Value.ToString(CultureInfo.InvariantCulture));

    [Fact]
    public void Percent_OfALimitOfZero_IsNone() => Assert.Null(CapUse.PercentOf(Of("1"), Usd.Zero));

    private static Usd Of(string usd) => Usd.FromDecimal(decimal.Parse(usd, CultureInfo.InvariantCulture));

    private static Cap CapOf(Usd limit) => new()
    {
        Id = new(Guid.Empty), Name = "cap", Period = CapPeriod.Monthly, Limit = limit, SoftPct = 80, CreatedAt = default, UpdatedAt = default,
    };
}
