using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Xunit;

namespace Dvara.UnitTests.Budgets;

public sealed class SliceTests
{
    private const long Later = 1_000;

    private readonly Slice _slice = new();
    private long _asked;

    [Fact]
    public void Hold_BeforeAnyAnswer_IsRefused()
    {
        Assert.False(Hold(1));

        // A former process' row is no answer.
        _slice.Apply(Row(100), Later, isAnswer: false);

        Assert.False(Hold(1));
    }

    [Fact]
    public void Hold_UpToWhatIsGranted_AndNotOnePicoUsdMore()
    {
        Grant(100);

        Assert.True(Hold(60));
        Assert.False(Hold(41));
        Assert.True(Hold(40));
        Assert.False(Hold(1));
        AssertIs(free: 0, held: 100);
    }

    [Fact]
    public void Hold_IsUsableUntilItsTime_AndNotATickLonger()
    {
        Grant(100);

        Assert.True(_slice.TryHold(Pico(1), Later - 1));
        Assert.False(_slice.TryHold(Pico(1), Later));
        Read(100, until: Later + 1);
        Assert.True(_slice.TryHold(Pico(1), Later));
    }

    [Fact]
    public void Hold_OfNothing_AlwaysFits()
    {
        Assert.True(Hold(0));
        Grant(10);
        Assert.True(Hold(10));
        _slice.Settle(Pico(10), Pico(30), 0);
        Assert.True(Hold(0));
    }

    [Theory]
    [InlineData(0, 100)]
    [InlineData(20, 80)]
    [InlineData(60, 40)]
    [InlineData(130, -30)]
    public void Settle_AtAnyCost_LeavesTheRestFree(long cost, long free)
    {
        Grant(100);
        Hold(60);

        _slice.Settle(Pico(60), Pico(cost), 0);

        AssertIs(free, held: 0);
    }

    [Fact]
    public void Release_GivesTheHoldBack()
    {
        Grant(100);
        Hold(60);

        _slice.Release(Pico(60));

        AssertIs(free: 100, held: 0);
    }

    [Fact]
    public void UnknownEnd_KeepsItsHold_UntilSomebodyKnows()
    {
        Grant(100);
        Hold(60);

        _slice.Expose(Pico(60), 0);
        AssertIs(free: 40, held: 0);
        Read(100, exposed: 60, through: 0);
        AssertIs(free: 40, held: 0);
        Read(100, settled: 10, through: 0);
        AssertIs(free: 90, held: 0);
    }

    [Fact]
    public void Charge_ThatIsShipped_IsCountedOnce()
    {
        Grant(100);
        Hold(60);
        _slice.Settle(Pico(60), Pico(20), 0);
        _slice.Settle(Usd.Zero, Pico(5), 1);
        AssertIs(free: 75, held: 0);

        Read(100, settled: 20, through: 0);
        AssertIs(free: 75, held: 0);
        Read(100, settled: 25, through: 1);
        AssertIs(free: 75, held: 0);
    }

    [Fact]
    public void Charge_ToldAfterItsShippingWasRead_IsCountedOnce()
    {
        Grant(100);
        Hold(60);
        Read(100, settled: 20, through: 0);

        _slice.Settle(Pico(60), Pico(20), 0);

        AssertIs(free: 80, held: 0);
    }

    /// <summary>A ledger that lost commits is re-fed; meanwhile nothing is forgotten.</summary>
    [Fact]
    public void Ledger_ThatStandsBeforeWhatWasSeen_IsNotBelieved()
    {
        Grant(100);
        Hold(60);
        _slice.Settle(Pico(60), Pico(60), 4);
        Read(100, settled: 60, through: 4);

        Read(100, settled: 0, through: 3);

        AssertIs(free: 40, held: 0);
    }

    [Fact]
    public void Ask_TellsWhatIsUsedAndSpent()
    {
        Grant(100, settled: 7, exposed: 3);
        Hold(30);
        Hold(20);
        _slice.Settle(Pico(20), Pico(15), 0);

        Assert.Equal((Pico(55), Pico(25), Pico(100)), _slice.Ask(2, mayLower: false));
        Assert.Equal((Pico(55), Pico(25), Pico(55)), _slice.Ask(3, mayLower: true));
    }

    [Fact]
    public void Ask_ThatMayLower_GivesUpWhatIsFree_BeforeItIsAnswered()
    {
        Grant(100);
        Hold(30);

        _slice.Ask(2, mayLower: true);

        Assert.False(Hold(1));
        // What running calls leave over was told as used.
        _slice.Settle(Pico(30), Pico(10), 0);
        Assert.True(Hold(20));
    }

    [Fact]
    public void Ask_ThatKeeps_LetsHoldsGoOn()
    {
        Grant(100);

        _slice.Ask(2, mayLower: false);

        Assert.True(Hold(100));
    }

    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 100)]
    public void Row_OfAnEarlierAsk_DoesNotRaise_WhateverBecameOfTheLast(bool mayLower, long free)
    {
        Grant(100);
        _slice.Ask(2, mayLower);

        // The ask seems lost: it may still arrive.
        _slice.Apply(Row(150, number: 1), Later, isAnswer: false);
        AssertIs(free, held: 0);

        // It has arrived.
        _slice.Apply(Row(40, number: 2), Later, isAnswer: false);
        AssertIs(free: 40, held: 0);
    }

    [Fact]
    public void Row_ThatSaysLess_IsBelieved_WhateverItsAge()
    {
        Grant(100);
        Grant(200);

        _slice.Apply(Row(100, number: 1), Later, isAnswer: false);

        AssertIs(free: 100, held: 0);
    }

    [Fact]
    public void Row_OfAnEarlierAsk_DoesNotProlong()
    {
        Grant(100);
        _slice.Ask(2, mayLower: false);

        _slice.Apply(Row(100, number: 1), 2 * Later, isAnswer: false);

        Assert.False(_slice.TryHold(Pico(1), Later));
    }

    [Fact]
    public void Expired_HoldsOnlyAfterTheAnswerToALaterAsk()
    {
        Grant(100);
        _slice.Ask(2, mayLower: false);

        _slice.Expire();
        Assert.False(Hold(1));
        // Asked before the limit was known to change, and read whenever.
        _slice.Apply(Row(100, number: 2), Later, isAnswer: true);
        Assert.False(Hold(1));
        _slice.Apply(Row(100, number: 2), Later, isAnswer: false);
        Assert.False(Hold(1));

        // What may not be held is given up.
        Assert.Equal((Usd.Zero, Usd.Zero, Usd.Zero), _slice.Ask(3, mayLower: false));
        _slice.Apply(Row(100, number: 3), Later, isAnswer: false);
        Assert.False(Hold(1));
        _slice.Apply(Row(100, number: 3), Later, isAnswer: true);
        Assert.True(Hold(1));
    }

    /// <summary>All that is granted exceeds a lowered limit: running calls end, and what they leave over is nobody's.</summary>
    [Fact]
    public void Answer_WithoutTime_LetsNothingBeHeld()
    {
        Grant(100);
        Hold(60);
        _slice.Ask(2, mayLower: true);
        _slice.Apply(Row(60, number: 2), Slice.Never, isAnswer: true);

        _slice.Settle(Pico(60), Pico(10), 0);
        Read(60, number: 2);

        Assert.False(Hold(1));
        Assert.Equal((Pico(10), Pico(10), Pico(10)), _slice.Ask(3, mayLower: false));
    }

    /// <summary>Any calls, one after another: what is free is what is granted and neither held, spent nor unknown.</summary>
    [Fact]
    public void Free_AfterAnyCalls_IsWhatIsLeft() =>
        Gen.Select(Gen.Long[0, 500], Gen.Long[0, 90], Gen.Int[0, 3]).Array[1, 40].Sample(calls =>
        {
            var slice = new Slice();
            slice.Ask(1, mayLower: true);
            slice.Apply(new(Pico(1_000), 1, Usd.Zero, Usd.Zero, -1), Later, isAnswer: true);
            Int128 left = 1_000;
            for (var seq = 0; seq < calls.Length; seq++)
            {
                var (hold, cost, end) = calls[seq];
                if (!slice.TryHold(Pico(hold), 0))
                {
                    Assert.True(hold > left);
                    continue;
                }

                left -= End(slice, Pico(hold), Pico(cost), end, seq).PicoUsd;
            }

            Assert.Equal((new Usd(left), Usd.Zero), (slice.Free, slice.Held));
        });

    [Fact]
    public void Threads_HoldNoMoreThanIsGranted_AndLoseNothing()
    {
        Grant(1_000);
        long held = 0;
        var isTooMuch = false;
        using var together = new Barrier(3);
        var threads = Enumerable.Range(0, 3).Select(_ => new Thread(HoldAndEnd)).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());

        Assert.False(isTooMuch);
        AssertIs(free: 1_000, held: 0);

        void HoldAndEnd()
        {
            together.SignalAndWait();
            for (var i = 0; i < 1_000_000; i++)
            {
                var amount = i % 2 == 0 ? 600 : 1;
                if (_slice.TryHold(Pico(amount), 0))
                {
                    // Added after, and taken off before: never more than the slice holds.
                    isTooMuch |= Interlocked.Add(ref held, amount) > 1_000;
                    Interlocked.Add(ref held, -amount);
                    _slice.Release(Pico(amount));
                }
            }
        }
    }

    private static Usd End(Slice slice, Usd hold, Usd cost, int end, int seq)
    {
        switch (end)
        {
            case 0:
                slice.Release(hold);
                return Usd.Zero;
            case 1:
                slice.Expose(hold, seq);
                return hold;
            default:
                slice.Settle(hold, cost, seq);
                return cost;
        }
    }

    private bool Hold(long amount) => _slice.TryHold(Pico(amount), 0);

    private void Grant(long granted, long settled = 0, long exposed = 0)
    {
        _slice.Ask(++_asked, mayLower: true);
        _slice.Apply(Row(granted, _asked, settled, exposed), Later, isAnswer: true);
    }

    private void Read(long granted, long? number = null, long settled = 0, long exposed = 0, long through = -1, long until = Later) =>
        _slice.Apply(Row(granted, number ?? _asked, settled, exposed, through), until, isAnswer: false);

    private void AssertIs(long free, long held) => Assert.Equal((Pico(free), Pico(held)), (_slice.Free, _slice.Held));

    private static LeaseState Row(long granted, long number = 0, long settled = 0, long exposed = 0, long through = -1) =>
        new(Pico(granted), number, Pico(settled), Pico(exposed), through);

    private static Usd Pico(long amount) => Usd.FromPico(amount);
}
