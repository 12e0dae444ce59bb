using System.Text.RegularExpressions;
using Dvara.Domain.Pricing;
using Dvara.Server.Pricing;
using Dvara.Server.Pricing.Builtin;
using Xunit;

namespace Dvara.UnitTests.Pricing;

public sealed partial class BuiltinPriceListTests
{
    private static readonly BuiltinPriceList List = BuiltinPriceList.Load();
    private static readonly List<PriceVersion> Versions = [.. List.Timelines(SomePrices.Start).Values.SelectMany(versions => versions)];
    private static readonly PriceBook Book = new(Versions.Select(version => version.Price));

    [Fact]
    public void EveryRow_ResolvesToItself()
    {
        Assert.Equal(List.Drafts.Count, Versions.Count);
        foreach (var price in Versions.Select(version => version.Price))
        {
            var model = price.IsPrefix ? price.Model[..^1] + "26-01-01" : price.Model;

            Assert.Equal(price.Id, Find(price.Provider, model, price.EffectiveFrom)?.Id);
            if (price.EffectiveTo is { } end)
            {
                Assert.Equal(price.Id, Find(price.Provider, model, end.AddMilliseconds(-1))?.Id);
                Assert.NotEqual(price.Id, Find(price.Provider, model, end)?.Id);
            }
        }
    }

    [Fact]
    public void NoPrefix_CatchesAnotherRowOrASibling()
    {
        foreach (var prefix in Versions.Select(version => version.Price).Where(price => price.IsPrefix))
        {
            // What follows is the year of a snapshot; a sibling's name goes on with a word or a version.
            Assert.Matches(SnapshotPrefix(), prefix.Model);
            Assert.All(
                Versions.Select(version => version.Price).Where(price => !price.IsPrefix && price.Provider == prefix.Provider),
                price => Assert.True(
                    !price.Model.StartsWith(prefix.Model[..^1], StringComparison.Ordinal) || SnapshotName().IsMatch(price.Model),
                    $"{prefix.Model} catches {price.Model}"));
        }
    }

    [Fact]
    public void EveryRow_SaysWhereAndWhenItWasSeen() =>
        Assert.All(Versions, version => Assert.True(version is { SourceUrl: not null, CheckedOn: not null }, version.Price.Model));

    [Fact]
    public void EveryId_IsItsOwn_AndTheSameEverywhere()
    {
        var again = BuiltinPriceList.Load().Timelines(SomePrices.Start.AddYears(1)).Values.SelectMany(versions => versions);

        Assert.Equal(Versions.Count, Versions.Select(version => version.Price.Id).Distinct().Count());
        Assert.Equal(Versions.Select(version => version.Price.Id), again.Select(version => version.Price.Id));
    }

    [Theory]
    [InlineData("openai", "gpt-4o-2024-08-06", "gpt-4o-20*")]
    [InlineData("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13")]
    [InlineData("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini-20*")]
    [InlineData("openai", "gpt-4o-realtime-preview", null)]
    [InlineData("openai", "gpt-4o-mini-tts", null)]
    [InlineData("openai", "gpt-5-2025-08-07", "gpt-5-20*")]
    [InlineData("openai", "gpt-5-turbo", null)]
    [InlineData("openai", "o1-2024-12-17", "o1-20*")]
    [InlineData("anthropic", "claude-opus-4-20250514", "claude-opus-4-20*")]
    [InlineData("anthropic", "claude-opus-4-1-20250805", "claude-opus-4-1-20*")]
    [InlineData("anthropic", "claude-opus-5-5", "claude-opus-5-5")]
    [InlineData("deepseek", "deepseek-v4-pro", null)]
    [InlineData("mock", "gpt-4o", "gpt-4o")]
    [InlineData("mock", "gpt-4o-mini", "gpt-4o-mini")]
    [InlineData("mock", "claude-sonnet", "claude-sonnet")]
    [InlineData("mock", "text-embedding-3-small", "text-embedding-3-small")]
    [InlineData("mock", "anything-else", null)]
    public void Model_AsProvidersNameIt_FindsItsOwnRow(string provider, string model, string? row) =>
        Assert.Equal(row, Find(provider, model, SomePrices.Start)?.Model);

    [Fact]
    public void DatedChange_ActsOnItsDay()
    {
        var day = new DateTimeOffset(2026, 7, 30, 0, 0, 0, TimeSpan.Zero);

        Assert.Equal(1_000_000, Find("openai", "gpt-5.6-luna", day.AddMilliseconds(-1))!.InputRate);
        Assert.Equal(200_000, Find("openai", "gpt-5.6-luna", day)!.InputRate);
    }

    private static Price? Find(string provider, string model, DateTimeOffset at) => Book.Find(SomePrices.Acme, provider, model, at);

    [GeneratedRegex(@"-(20|2)\*$")]
    private static partial Regex SnapshotPrefix();

    [GeneratedRegex(@"-20\d\d(-\d\d-\d\d|\d{4})$")]
    private static partial Regex SnapshotName();
}
