using Dvara.Domain;
using Dvara.Server.Budgets;
using Xunit;

namespace Dvara.UnitTests.Budgets;

public sealed class LeaseAnswerTests
{
    /// <summary>Silos of two versions answer each other while one replaces the other.</summary>
    [Theory]
    [InlineData(0, 7)]
    [InlineData(2, 5)]
    public void Figures_LeaveTheSame_WhetherTheExposureIsToldApartOrNot(long exposure, long spent)
    {
        var figures = (LeaseAnswer.NotInForce with { Limit = 10, Spent = 7, PeriodExposure = exposure }).Figures;

        Assert.Equal(
            (Usd.FromPico(spent), Usd.FromPico(exposure), Usd.FromPico(3)), (figures.Spent, figures.Exposure, figures.Remaining));
    }
}
