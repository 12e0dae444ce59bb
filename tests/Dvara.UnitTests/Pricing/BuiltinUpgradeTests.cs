using CsCheck;
using Dvara.Domain.Pricing;
using Dvara.Server.Pricing;
using Dvara.Server.Pricing.Builtin;
using Xunit;

namespace Dvara.UnitTests.Pricing;

public sealed class BuiltinUpgradeTests
{
    private static readonly DateTimeOffset Now = SomePrices.Start;
    private static readonly DateTimeOffset Boundary = Now.AddSeconds(5);

    [Fact]
    public void List_AppliedAgain_ChangesNothing()
    {
        var list = BuiltinPriceList.Load();
        var stored = Apply([], list, Now);

        Assert.NotEmpty(stored);
        Assert.True(BuiltinUpgrade.Plan(stored, list, Now.AddYears(2), Now.AddYears(2)).IsEmpty);
    }

    [Fact]
    public void ChangedPrice_EndsTheOldVersionAndOpensTheNextAtTheBoundary()
    {
        var before = Apply([], List(Draft("gpt-4o", 1)), Now);

        var upgrade = BuiltinUpgrade.Plan(before, List(Draft("gpt-4o", 2)), Boundary, Now);

        Assert.Equal((before[0].Price.Id, Boundary), Assert.Single(upgrade.End));
        var next = Assert.Single(upgrade.Open);
        Assert.Equal((2, Boundary), (next.Price.InputRate, next.Price.EffectiveFrom));
        Assert.NotEqual(before[0].Price.Id, next.Price.Id);
    }

    [Fact]
    public void NewerDate_WithTheSamePrice_OnlyRefreshesIt()
    {
        var before = Apply([], List(Draft("gpt-4o", 1)), Now);
        var list = List(Draft("gpt-4o", 1) with { CheckedOn = new(2026, 5, 1), MaxOutputTokens = 7 });

        var upgrade = BuiltinUpgrade.Plan(before, list, Boundary, Now);

        Assert.Equal(before[0].Price.Id, Assert.Single(upgrade.Refresh).Id);
        Assert.Empty(upgrade.Open);
        Assert.Empty(upgrade.End);
    }

    [Fact]
    public void DroppedPrice_EndsAtTheBoundary() =>
        Assert.Equal(
            Boundary,
            Assert.Single(BuiltinUpgrade.Plan(Apply([], List(Draft("a", 1), Draft("b", 1)), Now), List(Draft("a", 1)), Boundary, Now).End).EndsAt);

    /// <summary>Whatever lists follow each other: before the boundary everything rates as before, from it on as the new list says.</summary>
    [Fact]
    public void AnyUpgrade_KeepsThePast_AndGivesTheFutureToTheNewList()
    {
        var draft = Gen.Select(Gen.OneOf("a", "b", "b*"), Gen.Long[1, 3], Gen.Int[-3, 6], Gen.Int[0, 4], (model, rate, from, days) => Draft(model, rate) with
        {
            EffectiveFrom = from == -3 ? null : Now.AddDays(from),
            EffectiveTo = days == 0 ? null : Now.AddDays(Math.Max(from, -2) + days),
        });
        var list = draft.Array[1, 6].Select(drafts => BuiltinPriceList.Of([.. drafts.DistinctBy(d => (d.Model, d.EffectiveFrom))]));
        Gen.Select(list, list, list).Sample((first, second, third) =>
        {
            var one = Apply([], first, Now);
            var two = Apply(one, second, Now.AddDays(1));
            var three = Apply(two, third, Now.AddDays(2));
            return Agrees(one, two, known: one, second, Now.AddDays(1)) && Agrees(two, three, known: two, third, Now.AddDays(2));
        });
    }

    private static bool Agrees(List<PriceVersion> before, List<PriceVersion> after, List<PriceVersion> known, BuiltinPriceList list, DateTimeOffset at)
    {
        var boundary = PriceSchedule.NextChange(at);
        var (then, now, wanted) = (Book(before), Book(after), Book(list.Timelines(at).Values.SelectMany(versions => versions)));
        var instants = Enumerable.Range(-5, 20).Select(day => Now.AddDays(day)).Append(boundary).Append(boundary.AddMilliseconds(-1));
        // A model that was never shipped brings its past along.
        var isKnown = known.Select(version => version.Price.Model).ToHashSet();
        return instants.All(instant => new[] { "a", "b", "bx" }.All(model =>
            instant >= boundary
                ? Rate(now, model, instant) == Rate(wanted, model, instant)
                : !isKnown.IsSupersetOf(after.Select(version => version.Price.Model)) || Rate(now, model, instant) == Rate(then, model, instant)));
    }

    private static long? Rate(PriceBook book, string model, DateTimeOffset at) => book.Find(SomePrices.Acme, "openai", model, at)?.InputRate;

    private static PriceBook Book(IEnumerable<PriceVersion> versions) => new(versions.Select(version => version.Price));

    /// <summary>What the table would hold, with the ends that its view computes.</summary>
    private static List<PriceVersion> Apply(List<PriceVersion> stored, BuiltinPriceList list, DateTimeOffset now)
    {
        var upgrade = BuiltinUpgrade.Plan(stored, list, PriceSchedule.NextChange(now), now);
        var ends = upgrade.End.ToDictionary(end => end.Id, end => end.EndsAt);
        var rows = stored
            .Where(version => !upgrade.Withdraw.Contains(version.Price.Id))
            .Select(version => ends.TryGetValue(version.Price.Id, out var end) ? version with { EndsAt = end } : version)
            .Concat(upgrade.Open)
            .ToList();
        return [.. rows.Select(version =>
        {
            var next = rows.Where(other => other.Key == version.Key && other.Price.EffectiveFrom > version.Price.EffectiveFrom)
                .Min(other => (DateTimeOffset?)other.Price.EffectiveFrom);
            return version with { Price = version.Price with { EffectiveTo = next is null || version.EndsAt < next ? version.EndsAt : next } };
        })];
    }

    private static BuiltinPriceList List(params PriceDraft[] drafts) => BuiltinPriceList.Of(drafts);

    private static PriceDraft Draft(string model, long rate) => new()
    {
        Provider = "openai",
        Model = model,
        InputRate = rate,
        OutputRate = rate,
        CheckedOn = new(2026, 4, 1),
        SourceUrl = "https://example.com/prices",
    };
}
