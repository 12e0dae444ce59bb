using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Pricing;
using Xunit;
using static Dvara.UnitTests.Pricing.SomePrices;

namespace Dvara.UnitTests.Pricing;

public sealed class PriceBookTests
{
    private static readonly TenantId Other = new(Guid.Parse("01890000-0000-7000-8000-000000000002"));

    [Fact]
    public void Find_TakesTenantThenCustomThenBuiltin_EvenWhereTheirsIsOnlyAPrefix()
    {
        var builtin = Of("gpt-4o", source: PriceSource.Builtin);
        var custom = Of("gpt-*");
        var own = Of("*", tenant: Acme);

        Assert.Same(builtin, new PriceBook([builtin]).Find(Acme, "openai", "gpt-4o", Start));
        Assert.Same(custom, new PriceBook([builtin, custom]).Find(Acme, "openai", "gpt-4o", Start));
        Assert.Same(own, new PriceBook([builtin, custom, own]).Find(Acme, "openai", "gpt-4o", Start));
        Assert.Same(custom, new PriceBook([builtin, custom, own]).Find(Other, "openai", "gpt-4o", Start));
    }

    [Fact]
    public void Find_TakesExactThenTheLongestPrefix()
    {
        var (exact, near, far) = (Of("gpt-4o-2024-05-13"), Of("gpt-4o-2*"), Of("gpt-*"));
        var book = new PriceBook([far, near, exact]);

        Assert.Same(exact, book.Find(Acme, "openai", "gpt-4o-2024-05-13", Start));
        Assert.Same(near, book.Find(Acme, "openai", "gpt-4o-2024-08-06", Start));
        Assert.Same(far, book.Find(Acme, "openai", "gpt-4o-mini", Start));
        Assert.Null(book.Find(Acme, "openai", "o3", Start));
        Assert.Null(book.Find(Acme, "azure", "gpt-4o", Start));
    }

    [Fact]
    public void Find_OnTheBoundaryOfTwoVersions_TakesTheNextFromItsFirstMillisecond()
    {
        var change = Start.AddDays(10);
        var (first, next) = (Of("gpt-4o", to: change), Of("gpt-4o", from: change));
        var book = new PriceBook([first, next]);

        Assert.Null(book.Find(Acme, "openai", "gpt-4o", Start.AddMilliseconds(-1)));
        Assert.Same(first, book.Find(Acme, "openai", "gpt-4o", Start));
        Assert.Same(first, book.Find(Acme, "openai", "gpt-4o", change.AddMilliseconds(-1)));
        Assert.Same(next, book.Find(Acme, "openai", "gpt-4o", change));
    }

    /// <summary>Against the rule read plainly: sort everything that matches, take the first.</summary>
    [Fact]
    public void Find_InAnyBook_AnswersAsThePlainRule()
    {
        var model = Gen.OneOf("*", "a*", "ab*", "abc", "abd", "b", "b*");
        var price = Gen.Select(
            model, Gen.OneOf<TenantId?>(null, Acme, Other), Gen.Bool, Gen.Int[0, 5], Gen.Int[1, 4],
            (name, tenant, isBuiltin, from, days) => Of(
                name, 1, isBuiltin ? null : tenant, isBuiltin ? PriceSource.Builtin : PriceSource.Custom, Start.AddDays(from), Start.AddDays(from + days)));
        Gen.Select(price.Array[0, 20], Gen.OneOf("abc", "abd", "abx", "b", "bx"), Gen.Int[0, 8]).Sample((prices, asked, day) =>
        {
            var at = Start.AddDays(day);
            var expected = prices
                .Where(p => p.IsEffectiveAt(at) && (p.TenantId is null || p.TenantId == Acme))
                .Where(p => p.IsPrefix ? asked.StartsWith(p.Model[..^1], StringComparison.Ordinal) : asked == p.Model)
                .OrderByDescending(p => p.TenantId == Acme)
                .ThenBy(p => p.Source == PriceSource.Builtin)
                .ThenBy(p => p.IsPrefix)
                .ThenByDescending(p => p.Model.Length)
                .ThenByDescending(p => p.EffectiveFrom)
                .ThenByDescending(p => p.Id.Value)
                .FirstOrDefault();

            return ReferenceEquals(expected, new PriceBook(prices).Find(Acme, "openai", asked, at));
        });
    }
}
