using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Xunit;

namespace Dvara.UnitTests.Budgets;

public sealed class CapBookTests
{
    private static readonly TenantId[] Tenants = [.. Ids.Select(id => new TenantId(id))];
    private static readonly KeyLineId[] Lines = [.. Ids.Select(id => new KeyLineId(id))];

    private static readonly Gen<Cap> AnyCap = Gen.Select(
        Gen.OneOf(Tenants).Nullable(),
        Gen.OneOf(Lines).Nullable(),
        Gen.Select(Gen.OneOf("team", "Team", "stage", "Straße"), Gen.OneOf("a", "A", ""), (key, value) => new CapTag(key, value)).Nullable(),
        Gen.OneOf<string?>(null, "gpt-4o", "gpt-4o*", "gpt-*", "*", "GPT-4o", "openai/gpt-4o", "openai/*", "open*"),
        Gen.Bool,
        (tenant, line, tag, model, enabled) => SomeCaps.Of(tenant, tenant is null ? null : line, tag, model) with { Enabled = enabled });

    private static readonly Gen<CapScope> AnyScope = Gen.Select(
        Gen.OneOf(Tenants), Gen.OneOf(Lines), Gen.OneOf("openai", "open"), Gen.OneOf("gpt-4o", "gpt-4o-mini", "gpt-", "o3", "GPT-4o"),
        Gen.Dictionary(Gen.OneOf("team", "TEAM", "stage", "straße"), Gen.OneOf("a", "A", ""))[0, 3],
        (tenant, line, provider, model, tags) => new CapScope(
            tenant, line, provider, model, tags.DistinctBy(tag => tag.Key.ToUpperInvariant()).ToDictionary(tag => tag.Key, tag => tag.Value)));

    private static Guid[] Ids => [.. Enumerable.Range(1, 3).Select(i => new Guid(i, 0, 0, new byte[8]))];

    /// <summary>Against the rule read plainly: everything that a cap names must be so.</summary>
    [Fact]
    public void Match_InAnyBook_AnswersAsThePlainRule() =>
        Gen.Select(AnyCap.Array[0, 12], AnyScope).Sample((caps, scope) =>
        {
            var expected = caps.Where(cap =>
                (cap.TenantId is null || cap.TenantId == scope.TenantId)
                && (cap.Key is null || cap.Key.Value.Line == scope.KeyLine)
                && (cap.Tag is not { } wanted || scope.Tags.Any(tag =>
                    tag.Key.Equals(wanted.Key, StringComparison.OrdinalIgnoreCase) && tag.Value == wanted.Value))
                && (cap.Model is null || new[] { scope.Model, $"{scope.Provider}/{scope.Model}" }.Any(name => cap.Model == name
                    // A prefix is one of the model, or of the whole name from behind the provider on.
                    || (cap.Model.EndsWith('*') && name.StartsWith(cap.Model[..^1], StringComparison.Ordinal)
                        && (name == scope.Model || cap.Model.StartsWith(scope.Provider + "/", StringComparison.Ordinal))))));
            var matching = new List<Cap>();

            new CapBook(1, caps).Match(scope, matching);

            Assert.Equal(expected.OrderBy(cap => cap.TenantId is not null).ThenBy(cap => cap.Id.Value), matching);
        });

    [Theory]
    [InlineData("gpt-4o", "gpt-4o", true)]
    [InlineData("gpt-4o", "gpt-4o-mini", false)]
    [InlineData("gpt-4o*", "gpt-4o", true)]
    [InlineData("gpt-4o*", "gpt-4o-mini", true)]
    [InlineData("gpt-4o*", "gpt-4", false)]
    [InlineData("gpt-4o*", "GPT-4o", false)]
    [InlineData("*", "", true)]
    [InlineData("", "gpt-4o", false)]
    [InlineData("openai/gpt-4o", "gpt-4o", true)]
    [InlineData("openai/gpt-4o*", "gpt-4o-mini", true)]
    [InlineData("openai/*", "gpt-4o", true)]
    [InlineData("openai*", "gpt-4o", false)]
    [InlineData("open/gpt-4o", "gpt-4o", false)]
    [InlineData("mistral/gpt-4o", "gpt-4o", false)]
    [InlineData("openai/gpt-4o", "openai/gpt-4o", true)]
    [InlineData("openai/", "gpt-4o", false)]
    public void Model_IsItsName_OrWhatBeginsLikeThePrefix(string cap, string model, bool matches) =>
        Assert.Equal(matches, SomeCaps.Of(model: cap).Matches(new(Tenants[0], Lines[0], "openai", model, new Dictionary<string, string>())));

    [Theory]
    [InlineData("Team", "a", true)]
    [InlineData("TEAM", "a", true)]
    [InlineData("team", "A", false)]
    [InlineData("team ", "a", false)]
    public void TagKey_MatchesInAnyCase_AndItsValueOnlyExactly(string key, string value, bool matches) =>
        Assert.Equal(
            matches,
            SomeCaps.Of(tag: new(key, value)).Matches(
                new(Tenants[0], Lines[0], "openai", "gpt-4o", new Dictionary<string, string> { ["stage"] = "a", ["team"] = "a" })));

    [Fact]
    public void Find_GivesWhatIsInTheBook_AndNothingElse()
    {
        var cap = SomeCaps.Of();
        var book = new CapBook(7, [cap]);

        Assert.Same(cap, book.Find(cap.Id));
        Assert.Null(book.Find(SomeCaps.Of().Id));
        Assert.Equal((7, false, true), (book.Generation, book.IsEmpty, CapBook.Empty.IsEmpty));
    }

    /// <summary>Reached at spend >= limit x percent / 100, in fractions of a pico-dollar too.</summary>
    [Fact]
    public void SoftThreshold_IsTheFirstAmountThatReachesThePercentage() =>
        Gen.Select(Gen.Long[0, 9_000_000_000_000_000_000], Gen.Int[1, 100]).Sample((limit, pct) =>
        {
            var threshold = (SomeCaps.Of() with { Limit = Usd.FromPico(limit), SoftPct = pct }).SoftThreshold!.Value.PicoUsd;
            return threshold * 100 >= (Int128)limit * pct && (threshold - 1) * 100 < (Int128)limit * pct;
        });

    [Fact]
    public void Covering_IsWhatIsInForceOfTheKeysLine()
    {
        Cap[] caps = [SomeCaps.Of(), SomeCaps.Of(Tenants[0]), SomeCaps.Of(Tenants[0], Lines[0]), SomeCaps.Of(Tenants[0], Lines[1]), SomeCaps.Of(Tenants[1])];

        Assert.Equal(caps[..3].Select(cap => cap.Id).ToHashSet(), new CapBook(1, caps).Covering(Tenants[0], Lines[0]).Select(cap => cap.Id).ToHashSet());
    }

    [Theory]
    [InlineData(100, 100, CapMode.Strict, false)]
    [InlineData(100, 101, CapMode.Strict, true)]
    [InlineData(100, 101, CapMode.Elastic, false)]
    [InlineData(0, 0, CapMode.Strict, false)]
    [InlineData(0, 1, CapMode.Strict, false)]
    public void Limit_IsExceededByACallThatIsLargerThanAllOfIt(long limit, long least, CapMode mode, bool isExceeded) =>
        Assert.Equal(isExceeded, (SomeCaps.Of() with { Limit = Usd.FromPico(limit), Mode = mode }).IsExceededBy(Usd.FromPico(least)));

    [Fact]
    public void SoftThreshold_WithoutAPercentage_IsNone() => Assert.Null((SomeCaps.Of() with { SoftPct = null }).SoftThreshold);
}
