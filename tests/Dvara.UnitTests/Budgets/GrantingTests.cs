using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Xunit;

namespace Dvara.UnitTests.Budgets;

public sealed class GrantingTests
{
    /// <summary>Small ones meet each other often; large ones are those of rows.</summary>
    private static readonly Gen<long> Scale = Gen.OneOf(1L, 1_000_000_000_000_000);

    private static readonly Gen<(LeaseAsk Ask, CapStanding Standing)> Any = Gen.Select(
        Scale, Gen.Int[0, 100].Array[5], Gen.Int[0, 60].Array[7], Gen.Int[0, 3],
        (scale, own, others, count) => (
            new LeaseAsk
            {
                Spent = Times(own[0] / 3, scale),
                Used = Times((own[0] / 3) + (own[1] / 3), scale),
                Keep = Times((own[0] / 3) + (own[1] / 3) + (others[0] / 2), scale),
                Need = Times(own[2] / 2, scale),
                Least = Times(own[2] / 2 * own[3] / 100, scale),
                Ahead = Times(own[4], scale),
            },
            new CapStanding
            {
                Limit = Times(others[1] < 5 ? 0 : others[1] * 3, scale),
                Baseline = Times(others[2] / 3, scale),
                OthersCommitted = Times(others[3] + (others[4] / 4), scale),
                OthersSpent = Times(others[3], scale),
                OwnGranted = Times((own[0] / 3) + (own[1] / 3) + (others[5] / 2), scale),
                OwnSpent = Times(own[0] * others[6] / 100, scale),
                Others = count,
            }));

    [Fact]
    public void Grant_NeverTakesWhatIsGrantedAboveTheLimit() =>
        Sample(it => Assert.True(it.Granted <= Max(it.Share, it.Standing.OwnGranted)));

    [Fact]
    public void Grant_NeverTakesAwayWhatIsUsedOrKept() =>
        Sample(it =>
        {
            var most = Max(it.Share, it.Standing.OwnGranted);
            Assert.True(it.Granted >= Min(it.Used, most));
            Assert.True(it.Granted >= Min(it.Ask.Keep, most));
        });

    [Fact]
    public void Need_IsGranted_WheneverThereIsRoom() =>
        Sample(it =>
        {
            if (it.Standing.Limit > Usd.Zero && it.Room >= it.Ask.Need)
            {
                Assert.Equal(GrantOutcome.Granted, it.Outcome);
                Assert.True(it.Granted >= it.Used + it.Ask.Need);
            }
        });

    [Fact]
    public void PartOfANeed_IsAllThatIsLeft_WhereTheLeastFits() =>
        Sample(it =>
        {
            if (it.Standing.Limit > Usd.Zero && it.Room < it.Ask.Need && it.Room >= it.Ask.Least)
            {
                Assert.Equal((GrantOutcome.Granted, it.Used + it.Room), (it.Outcome, Min(it.Granted, it.Used + it.Room)));
            }
        });

    [Fact]
    public void Refusal_IsFinal_OnlyWhereNoEndOfAnyHoldWouldHelp() =>
        Sample(it =>
        {
            var isRefused = it.Standing.Limit == Usd.Zero || (it.Ask.Need > Usd.Zero && it.Room < it.Ask.Least);
            var spent = it.Standing.Baseline + it.Standing.OthersSpent + Max(it.Ask.Spent, it.Standing.OwnSpent);
            var fitsLater = it.Standing.Limit > Usd.Zero && spent + it.Ask.Least <= it.Standing.Limit;

            Assert.Equal(!isRefused ? GrantOutcome.Granted : fitsLater ? GrantOutcome.Held : GrantOutcome.Exhausted, it.Outcome);
        });

    [Fact]
    public void Ahead_IsAtMostAFairHalf_AndNothingWhereMoneyIsScarce() =>
        Sample(it =>
        {
            if (it.Outcome == GrantOutcome.Granted && it.Room >= it.Ask.Need)
            {
                var rest = it.Room - it.Ask.Need;
                var half = new Usd(rest.PicoUsd / (2 * (it.Standing.Others + 1)));
                Assert.True(it.Granted <= Max(it.Used + it.Ask.Need + Min(it.Ask.Ahead, half), it.Kept));
                Assert.True(it.Granted == Max(it.Used + it.Ask.Need, it.Kept) || rest.PicoUsd >= it.Ask.Need.PicoUsd * 8);
            }
        });

    [Fact]
    public void Ahead_IsGranted_WhereMoneyIsPlenty()
    {
        var grant = Granting.Decide(Asked(need: 10) with { Ahead = Usd.FromPico(300) }, Standing(limit: 1_000) with { Others = 1 });

        Assert.Equal(Usd.FromPico(10 + (990 / 4)), grant.Granted);
    }

    [Fact]
    public void Return_LeavesWhatIsUsed() =>
        Any.Sample(any =>
        {
            var ask = any.Ask with { Keep = any.Ask.Used, Need = Usd.Zero, Least = Usd.Zero, Ahead = Usd.Zero };
            var it = new Decided(ask, any.Standing, Granting.Decide(ask, any.Standing));
            Assert.Equal(Min(it.Used, Max(it.Share, any.Standing.OwnGranted)), it.Granted);
        });

    [Fact]
    public void LimitOfZero_BlocksWhatCostsNothingToo()
    {
        var grant = Granting.Decide(Asked(need: 0), Standing(limit: 0));

        Assert.Equal(new Grant(GrantOutcome.Exhausted, Usd.Zero), grant);
    }

    [Fact]
    public void WhatCostsNothing_IsGranted_WhereEverythingIsSpent() =>
        Assert.Equal(GrantOutcome.Granted, Granting.Decide(Asked(need: 0), Standing(limit: 10, othersCommitted: 30, othersSpent: 30)).Outcome);

    [Fact]
    public void LastPicoUsd_IsGranted_AndNotOneMore()
    {
        var standing = Standing(limit: 100, othersCommitted: 60, othersSpent: 20);

        Assert.Equal((GrantOutcome.Granted, Usd.FromPico(40)), Of(Granting.Decide(Asked(need: 40), standing)));
        Assert.Equal((GrantOutcome.Held, Usd.Zero), Of(Granting.Decide(Asked(need: 41), standing)));
        Assert.Equal((GrantOutcome.Held, Usd.Zero), Of(Granting.Decide(Asked(need: 80), standing)));
        Assert.Equal((GrantOutcome.Exhausted, Usd.Zero), Of(Granting.Decide(Asked(need: 81), standing)));
        Assert.Equal((GrantOutcome.Granted, Usd.FromPico(40)), Of(Granting.Decide(Asked(need: 81) with { Least = Usd.FromPico(40) }, standing)));
    }

    /// <summary>A limit that was lowered and raised again would otherwise have granted the same money twice.</summary>
    [Fact]
    public void LoweredLimit_CutsWhatIsGivenUp_AndNotWhatIsKept()
    {
        var standing = Standing(limit: 10) with { OwnGranted = Usd.FromPico(100) };

        var givesUp = Asked(need: 5) with { Used = Usd.FromPico(30), Keep = Usd.FromPico(30) };

        Assert.Equal(Usd.FromPico(30), Granting.Decide(givesUp, standing).Granted);
        Assert.Equal(Usd.FromPico(100), Granting.Decide(givesUp with { Keep = Usd.FromPico(100) }, standing).Granted);
    }

    [Theory]
    [InlineData(100, 40, true)]
    [InlineData(100, 41, false)]
    [InlineData(0, 0, false)]
    public void Standing_CoversWhatIsWithinTheLimit(long limit, long granted, bool isCovered) =>
        Assert.Equal(
            isCovered, (Standing(limit, othersCommitted: limit / 2) with { Baseline = Usd.FromPico(limit / 10) }).Covers(Usd.FromPico(granted)));

    private static void Sample(Action<Decided> check) =>
        Any.Sample(any => check(new(any.Ask, any.Standing, Granting.Decide(any.Ask, any.Standing))), iter: 2_000);

    private static (GrantOutcome Outcome, Usd Granted) Of(Grant grant) => (grant.Outcome, grant.Granted);

    private static LeaseAsk Asked(long need) =>
        new() { Used = Usd.Zero, Spent = Usd.Zero, Keep = Usd.Zero, Need = Usd.FromPico(need), Least = Usd.FromPico(need) };

    private static CapStanding Standing(long limit, long othersCommitted = 0, long othersSpent = 0) => new()
    {
        Limit = Usd.FromPico(limit),
        Baseline = Usd.Zero,
        OthersCommitted = Usd.FromPico(othersCommitted),
        OthersSpent = Usd.FromPico(othersSpent),
        OwnGranted = Usd.Zero,
        OwnSpent = Usd.Zero,
    };

    private static Usd Times(long amount, long scale) => new((Int128)amount * scale);

    private static Usd Max(Usd left, Usd right) => left > right ? left : right;

    private static Usd Min(Usd left, Usd right) => left < right ? left : right;

    private sealed record Decided(LeaseAsk Ask, CapStanding Standing, Grant Grant)
    {
        public GrantOutcome Outcome => Grant.Outcome;

        public Usd Granted => Grant.Granted;

        /// <summary>As far as either side knows.</summary>
        public Usd Used => Max(Ask.Used, Standing.OwnSpent);

        /// <summary>What the others leave of the limit.</summary>
        public Usd Share => Standing.Limit - Standing.Baseline - Standing.OthersCommitted;

        public Usd Room => Share - Used;

        public Usd Kept => Min(Max(Ask.Keep, Used), Max(Share, Standing.OwnGranted));
    }
}
