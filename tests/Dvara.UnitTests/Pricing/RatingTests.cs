using System.Numerics;
using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Pricing;
using Xunit;

namespace Dvara.UnitTests.Pricing;

public sealed class RatingTests
{
    private static readonly Gen<long?> AnyTokens = Gen.Frequency((1, Gen.Const((long?)null)), (4, Gen.Long[0, 10_000_000].Select(n => (long?)n)));

    // Up to 100 USD per million in millionths of a USD.
    private static readonly Gen<long?> AnyRate = Gen.Frequency((1, Gen.Const((long?)null)), (3, Gen.Long[0, 100_000_000].Select(n => (long?)n)));

    private static readonly Gen<TokenUsage> AnyUsage = Gen.Select(
        AnyTokens, AnyTokens, AnyTokens, AnyTokens, AnyTokens,
        (input, read, write, output, reasoning) => new TokenUsage
        {
            UncachedInput = input,
            CacheRead = read,
            CacheWrite = write,
            Output = output,
            Reasoning = reasoning,
        });

    private static readonly Gen<Price> AnyPrice = Gen.Select(
        Gen.Select(Gen.Long[0, 100_000_000], Gen.Long[0, 100_000_000]), AnyRate, AnyRate, AnyRate, AnyRate,
        (both, read, write, reasoning, perRequest) => SomePrices.Of("gpt-4o") with
        {
            InputRate = both.Item1,
            OutputRate = both.Item2,
            CachedInputRate = read,
            CacheWriteRate = write,
            ReasoningRate = reasoning,
            PerRequest = perRequest is { } pico ? Usd.FromPico(pico) : null,
        });

    [Fact]
    public void Rate_OfAnyUsage_EqualsExactFractions() =>
        Gen.Select(AnyUsage, AnyPrice).Sample((usage, price) =>
        {
            var cost = Rating.Rate(usage, price);

            var input = PerMillion(usage.UncachedInput, price.InputRate)
                .Plus(PerMillion(usage.CacheRead, price.CachedInputRate ?? price.InputRate))
                .Plus(PerMillion(usage.CacheWrite, price.CacheWriteRate ?? price.InputRate));
            var output = PerMillion(usage.Output, price.OutputRate)
                .Plus(PerMillion(usage.Reasoning, price.ReasoningRate ?? price.OutputRate))
                .Plus(new(price.PerRequest is { } usd ? (BigInteger)usd.PicoUsd : 0, BigInteger.Pow(10, 12)));
            return input.Is(cost.Input) && output.Is(cost.Output) && input.Plus(output).Is(cost.Total);
        });

    [Fact]
    public void Rate_WithTwoRates_IsInputTimesRatePlusOutputTimesRate() =>
        Gen.Select(AnyUsage, Gen.Long[0, 100_000_000], Gen.Long[0, 100_000_000]).Sample((usage, input, output) =>
            Rating.Rate(usage, SomePrices.Of("gpt-4o") with { InputRate = input, OutputRate = output }).Total.PicoUsd
                == ((Int128)usage.InputTokens * input) + ((Int128)usage.OutputTokens * output));

    [Fact]
    public void Rate_OfTheWalksCall_IsSevenAndAHalfThousandthsOfADollar()
    {
        var cost = Rating.Rate(
            new() { UncachedInput = 1000, Output = 500 }, SomePrices.Of("gpt-4o") with { InputRate = 2_500_000, OutputRate = 10_000_000 });

        Assert.Equal("0.0025", cost.Input.ToString());
        Assert.Equal("0.005", cost.Output.ToString());
        Assert.Equal("0.0075", cost.Total.ToString());
    }

    [Fact]
    public void Rate_OfMoreThanARowHolds_IsRefused() =>
        Assert.Throws<OverflowException>(() => Rating.Rate(
            new() { UncachedInput = long.MaxValue }, SomePrices.Of("gpt-4o") with { InputRate = 1_000_000_000_000 }));

    /// <summary>Tokens times (rate in millionths of a USD per million tokens), in USD.</summary>
    private static Fraction PerMillion(long? tokens, long rate) => new((BigInteger)(tokens ?? 0) * rate, BigInteger.Pow(10, 6) * BigInteger.Pow(10, 6));

    private readonly record struct Fraction(BigInteger Over, BigInteger Under)
    {
        public Fraction Plus(Fraction other) => new((Over * other.Under) + (other.Over * Under), Under * other.Under);

        public bool Is(Usd usd) => Over * BigInteger.Pow(10, 12) == (BigInteger)usd.PicoUsd * Under;
    }
}
