using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Pricing;
using Dvara.UnitTests.Pricing;
using Xunit;

namespace Dvara.UnitTests.Budgets;

public sealed class AttemptBoundTests
{
    /// <summary>Up to a million USD per million tokens.</summary>
    private static readonly Gen<long> AnyRate = Gen.OneOf(Gen.Const(0L), Gen.Long[0, 100], Gen.Long[0, 1_000_000_000_000]);

    private static readonly Gen<Price> AnyPrice = Gen.Select(
        Gen.Select(AnyRate, AnyRate), AnyRate.Nullable(), AnyRate.Nullable(), AnyRate.Nullable(), AnyRate.Nullable(),
        (both, read, write, reasoning, perRequest) => SomePrices.Of("gpt-4o") with
        {
            InputRate = both.Item1,
            OutputRate = both.Item2,
            CachedInputRate = read,
            CacheWriteRate = write,
            ReasoningRate = reasoning,
            PerRequest = perRequest is { } pico ? Usd.FromPico(pico) : null,
        });

    private static readonly Gen<AttemptBound> AnyBound = Gen.Select(
        AnyPrice, Gen.Long[0, 100_000_000], Gen.Long[1, 128], (price, input, choices) => AttemptBound.Of(price, input, choices));

    /// <summary>Whatever kinds of tokens the input and the output turn out to be made of.</summary>
    [Fact]
    public void Bound_OfAnAttempt_IsNeverBelowItsCost() =>
        Gen.Select(AnyPrice, Gen.Long[0, 10_000].Array[5], Gen.Long[1, 128]).Sample((price, tokens, choices) =>
        {
            var usage = new TokenUsage
            {
                UncachedInput = tokens[0],
                CacheRead = tokens[1],
                CacheWrite = tokens[2],
                Output = tokens[3] * choices,
                Reasoning = tokens[4] * choices,
            };
            var bound = AttemptBound.Of(price, tokens[0] + tokens[1] + tokens[2], choices);
            return Rating.Rate(usage, price).Total <= bound.With(tokens[3] + tokens[4]);
        });

    [Fact]
    public void Bound_TakesTheDearestRates_AndThemOnly()
    {
        var price = SomePrices.Of("gpt-4o") with
        {
            InputRate = 2, CachedInputRate = 1, CacheWriteRate = 3, OutputRate = 7, ReasoningRate = 5, PerRequest = Usd.FromPico(11),
        };

        Assert.Equal(new AttemptBound(Usd.FromPico((10 * 3) + 11), 7, 2), AttemptBound.Of(price, 10, 2));
        Assert.Equal(9, AttemptBound.Of(price with { ReasoningRate = 9 }, 10, 2).OutputRate);
        Assert.Equal(Usd.FromPico(41 + (100 * 7 * 2)), AttemptBound.Of(price, 10, 2).With(100));
        Assert.Equal(Usd.FromPico(41 + (100 * 7 * 2) + (4 * 7 * 2)), AttemptBound.Of(price, 10, 2, extraOutputTokens: 4).With(100));
    }

    [Fact]
    public void OutputWithin_IsTheLargestLimitThatFits() =>
        Gen.Select(AnyBound, Gen.OneOf(Gen.Long[0, 9_000_000_000_000_000_000], Gen.Long[0, 1_000])).Sample((bound, room) =>
        {
            var usd = Usd.FromPico(room);
            return bound.OutputWithin(usd) switch
            {
                < 0 => bound.With(0) > usd,
                long.MaxValue => bound.With(long.MaxValue) <= usd,
                var most => bound.With(most) <= usd && bound.With(most + 1) > usd,
            };
        });

    [Fact]
    public void OutputWithin_OfABound_GivesItsLimitBack() =>
        Gen.Select(AnyBound, Gen.Long[0, 1_000_000_000]).Where((bound, _) => bound.OutputRate > 0)
            .Sample((bound, limit) => bound.OutputWithin(bound.With(limit)) == limit);

    [Fact]
    public void OutputWithin_OnTheEdge_TurnsWithOnePicoUsd()
    {
        var bound = new AttemptBound(Usd.FromPico(100), 10, 3);

        Assert.Equal(-1, bound.OutputWithin(Usd.FromPico(99)));
        Assert.Equal(0, bound.OutputWithin(Usd.FromPico(100)));
        Assert.Equal(0, bound.OutputWithin(Usd.FromPico(129)));
        Assert.Equal(1, bound.OutputWithin(Usd.FromPico(130)));
    }

    [Fact]
    public void OutputThatCostsNothing_HasNoEnd_WhereTheInputFits()
    {
        var free = new AttemptBound(Usd.FromPico(5), 0, 1);

        Assert.Equal(long.MaxValue, free.OutputWithin(Usd.FromPico(5)));
        Assert.Equal(-1, free.OutputWithin(Usd.FromPico(4)));
        Assert.Equal(Usd.FromPico(5), free.With(long.MaxValue));
    }

    [Fact]
    public void LargeAmounts_AreExact_AndNeverWrapAround()
    {
        var dear = new AttemptBound(new Usd(Int128.MaxValue / 4), 1_000_000_000_000, 128);

        Assert.Equal((Int128.MaxValue / 4) + ((Int128)1_000_000_000_000 * 1_000_000_000 * 128), dear.With(1_000_000_000).PicoUsd);
        Assert.Equal(long.MaxValue, new AttemptBound(Usd.Zero, 1, 1).OutputWithin(new Usd(Int128.MaxValue)));
        Assert.Equal(-1, dear.OutputWithin(Usd.FromPico(long.MaxValue)));
        Assert.Throws<OverflowException>(() => new AttemptBound(Usd.Zero, long.MaxValue, 128).With(long.MaxValue));
        Assert.Throws<OverflowException>(() => new AttemptBound(new Usd(Int128.MaxValue), 1, 1).With(1));
        Assert.Throws<OverflowException>(() => AttemptBound.Of(
            SomePrices.Of("gpt-4o") with { InputRate = long.MaxValue, PerRequest = new Usd(Int128.MaxValue) }, long.MaxValue, 1));
    }
}
