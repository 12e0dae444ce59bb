using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Xunit;

namespace Dvara.UnitTests.Budgets;

public sealed class OverrunTests
{
    private static readonly Gen<Usd> Amount = Gen.OneOf(Gen.Long, Gen.Long[-5, 5], Gen.Const(0L)).Select(Usd.FromPico);

    private static readonly Gen<(Usd Spent, Usd Limit, Usd AboveBound, Usd Late, Usd Corrected)> Recorded =
        Gen.Select(Amount, Amount.Select(limit => limit < Usd.Zero ? Usd.Zero : limit), Amount, Amount, Amount);

    [Fact]
    public void Causes_WhateverIsRecorded_AddUpAndNoneIsNegative() => Recorded.Sample(r =>
    {
        var overrun = Overrun.Explain(r.Spent, r.Limit, r.AboveBound, r.Late, r.Corrected);

        Usd[] causes = [overrun.AboveBound, overrun.Late, overrun.Corrected, overrun.LimitLowered];
        Assert.DoesNotContain(causes, cause => cause < Usd.Zero);
        Assert.Equal(r.Spent > r.Limit ? r.Spent - r.Limit : Usd.Zero, overrun.Total);
        Assert.Equal(overrun.Total, causes.Aggregate(Usd.Zero, (sum, cause) => sum + cause));
    });

    [Fact]
    public void Cause_NeverExplainsMoreThanIsRecordedOfIt() => Recorded.Sample(r =>
    {
        var overrun = Overrun.Explain(r.Spent, r.Limit, r.AboveBound, r.Late, r.Corrected);

        Assert.True(overrun.AboveBound == Usd.Zero || overrun.AboveBound <= r.AboveBound);
        Assert.True(overrun.Late == Usd.Zero || overrun.Late <= r.Late);
        Assert.True(overrun.Corrected == Usd.Zero || overrun.Corrected <= r.Corrected);
    });

    [Theory]
    [InlineData(10, 10, 5, 5, 5, "0 0 0 0")]
    [InlineData(10, 4, 0, 0, 0, "0 0 0 6")]
    [InlineData(10, 4, 7, 1, 1, "6 0 0 0")]
    [InlineData(10, 4, 2, 3, 9, "2 3 1 0")]
    [InlineData(10, 4, 1, 1, -3, "1 1 0 4")]
    [InlineData(10, 0, 1, 2, 3, "1 2 3 4")]
    public void Overrun_IsLaidOnItsCausesInTheirOrder(int spent, int limit, int aboveBound, int late, int corrected, string causes)
    {
        var overrun = Overrun.Explain(Of(spent), Of(limit), Of(aboveBound), Of(late), Of(corrected));

        Assert.Equal(causes, $"{overrun.AboveBound} {overrun.Late} {overrun.Corrected} {overrun.LimitLowered}");
    }

    private static Usd Of(int usd) => Usd.FromDecimal(usd);
}
