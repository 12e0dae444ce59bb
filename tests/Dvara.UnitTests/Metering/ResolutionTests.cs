using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Pricing;
using Dvara.Server.Metering;
using Xunit;

namespace Dvara.UnitTests.Metering;

/// <summary>What was charged and what a resolution adds is the truth, in every sum of rows.</summary>
public sealed class ResolutionTests
{
    private static readonly PriceBook Prices = new([SomeAttempts.Price]);

    private static readonly Func<TokenUsage, long?>[] Buckets =
        [usage => usage.UncachedInput, usage => usage.CacheRead, usage => usage.CacheWrite, usage => usage.Output, usage => usage.Reasoning];

    /// <summary>What was known of an attempt, and what became known: usage of a model with or without a price, or that nothing was billed.</summary>
    private static readonly Gen<(Charge Unresolved, Charge Truth)> Any =
        from atLeast in SomeAttempts.AnyUsage.Null()
        from billed in SomeAttempts.AnyUsage.Null()
        from model in Gen.OneOf("gpt-4o", "unheard-of")
        select Make(SomeAttempts.Intent() with { Model = model }, atLeast, billed);

    [Fact]
    public void Rows_WithTheResolution_AddUpToTheTruth() =>
        Any.Sample((unresolved, truth) => AssertAddsUp([unresolved, Resolution.Of(truth, [unresolved])], truth));

    [Fact]
    public void Rows_OfAnyAttempt_AddUpToTheTruth() =>
        Gen.Select(SomeAttempts.AnyCharge.Array[1, 4], SomeAttempts.AnyCharge).Sample((rows, truth) =>
        {
            var numbered = rows.Select((row, revision) => row with { Revision = revision }).ToList();

            AssertAddsUp([.. numbered, Resolution.Of(truth, numbered)], truth);
        });

    [Fact]
    public void Counts_OfTheRows_AreThoseOfTheTruth() =>
        Gen.Select(Any, Gen.Bool).Sample((any, otherIsBillable) =>
        {
            var first = ChargeCounts.Of(any.Unresolved.State, before: null, new(Counted: 0, otherIsBillable));
            var second = ChargeCounts.Of(any.Truth.State, any.Unresolved.State, new(first.Requests, otherIsBillable));

            Assert.Equal(
                ChargeCounts.Of(any.Truth.State, before: null, new(Counted: 0, otherIsBillable)),
                new ChargeCounts(
                    first.Requests + second.Requests,
                    first.Estimated + second.Estimated,
                    first.Unpriced + second.Unpriced,
                    first.Unresolved + second.Unresolved,
                    first.Failed + second.Failed));
        });

    [Fact]
    public void Resolution_IsTheNextRevision_AndSaysWhatTheTruthSays() =>
        Any.Sample((unresolved, truth) =>
        {
            var revision = Resolution.Of(truth, [unresolved]);

            Assert.Equal((1, RevisionKind.Resolution), (revision.Revision, revision.Kind));
            Assert.Equal(truth, revision with { Revision = 0, Kind = RevisionKind.Original, Usage = truth.Usage, Cost = truth.Cost, LowerBound = truth.LowerBound });
            Assert.Equal(truth.Estimated, revision.Estimated);
        });

    [Fact]
    public void Bucket_ThatNobodyReported_StaysAbsent()
    {
        var (unresolved, truth) = Make(SomeAttempts.Intent(), null, new() { UncachedInput = 3, Output = 4 });

        Assert.Equal(new TokenUsage { UncachedInput = 3, Output = 4 }, Resolution.Of(truth, [unresolved]).Usage);
    }

    [Fact]
    public void NothingBilled_WhereNothingWasCounted_HasNoUsage()
    {
        var (unresolved, truth) = Make(SomeAttempts.Intent(), null, null);

        Assert.Null(Resolution.Of(truth, [unresolved]).Usage);
    }

    private static (Charge Unresolved, Charge Truth) Make(Intent intent, TokenUsage? atLeast, TokenUsage? billed)
    {
        var end = new AttemptEnd { Outcome = "provider_timeout", LatencyMs = 5 };
        return (
            Charging.Unresolve(intent, end, atLeast, Prices),
            billed is null ? Charging.Fail(intent, end) : Charging.Settle(intent, end, billed, Prices));
    }

    private static void AssertAddsUp(IReadOnlyList<Charge> rows, Charge truth)
    {
        Assert.Equal(truth.Cost.Input, Sum(rows, row => row.Cost.Input));
        Assert.Equal(truth.Cost.Output, Sum(rows, row => row.Cost.Output));
        Assert.Equal(truth.LowerBound, Sum(rows, row => row.LowerBound));
        foreach (var bucket in Buckets)
        {
            Assert.Equal(
                truth.Usage is null ? 0 : bucket(truth.Usage) ?? 0,
                rows.Sum(row => row.Usage is null ? 0 : bucket(row.Usage) ?? 0));
        }
    }

    private static Usd Sum(IReadOnlyList<Charge> rows, Func<Charge, Usd> amount) => rows.Aggregate(Usd.Zero, (sum, row) => sum + amount(row));
}
