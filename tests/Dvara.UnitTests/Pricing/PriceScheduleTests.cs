using Dvara.Domain.Pricing;
using Xunit;
using static Dvara.UnitTests.Pricing.SomePrices;

namespace Dvara.UnitTests.Pricing;

public sealed class PriceScheduleTests
{
    private static readonly DateTimeOffset Now = Start.AddDays(1);

    [Fact]
    public void FirstPrice_StartsNowOrWheneverItIsAskedTo()
    {
        Assert.Equal(Now, Open([], null, null).From);
        Assert.Equal(Now.AddDays(-30), Open([], Now.AddDays(-30), null).From);
    }

    [Fact]
    public void ExistingPrice_ChangesFiveSecondsFromNow_AndNotAMillisecondEarlier()
    {
        Price[] running = [Of("gpt-4o")];

        Assert.Equal(Now.AddSeconds(5), Open(running, null, null).From);
        Assert.Equal(new(Now.AddSeconds(5)), Open(running, Now.AddSeconds(5), null));
        Assert.Equal(new(Now.AddMilliseconds(4999), PriceRefusal.TooEarly, Now.AddSeconds(5)), Open(running, Now.AddMilliseconds(4999), null));
    }

    [Fact]
    public void PlannedPrice_CountsAsExisting() =>
        Assert.Equal(PriceRefusal.TooEarly, Open([Of("gpt-4o", from: Now.AddDays(1))], Now, Now.AddHours(1)).Refusal);

    [Fact]
    public void EndedPrice_MayBeFollowedAtOnce_ButNotInThePast()
    {
        Price[] ended = [Of("gpt-4o", to: Now)];

        Assert.Equal(new(Now), Open(ended, null, null));
        Assert.Equal(new(Now.AddMilliseconds(-1), PriceRefusal.TooEarly, Now), Open(ended, Now.AddMilliseconds(-1), null));
    }

    [Fact]
    public void NewVersion_MayTouchAPlannedOne_ButNotReachIntoIt()
    {
        var planned = Now.AddDays(2);
        Price[] versions = [Of("gpt-4o", to: planned), Of("gpt-4o", from: planned)];

        Assert.Equal(PriceRefusal.None, Open(versions, Now.AddDays(1), planned).Refusal);
        Assert.Equal(new(Now.AddDays(1), PriceRefusal.Overlap, planned), Open(versions, Now.AddDays(1), planned.AddMilliseconds(1)));
        Assert.Equal(new(planned, PriceRefusal.Overlap, planned), Open(versions, planned, null));
    }

    [Fact]
    public void EndBeforeTheStartThatHolds_IsRefused() =>
        Assert.Equal(PriceRefusal.Empty, Open([Of("gpt-4o")], null, Now.AddSeconds(5)).Refusal);

    [Fact]
    public void Notice_OfATimeBetweenMilliseconds_IsNeverShorterThanFiveSeconds() =>
        Assert.Equal(Now.AddMilliseconds(5001), PriceSchedule.NextChange(Now.AddTicks(1)));

    private static PriceOpening Open(Price[] versions, DateTimeOffset? from, DateTimeOffset? to) =>
        PriceSchedule.Open(versions, PriceSchedule.Earliest(versions, Now), from, to, Now);
}
