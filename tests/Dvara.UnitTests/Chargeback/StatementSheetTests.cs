using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Statements;
using Dvara.Domain.Time;
using Xunit;

namespace Dvara.UnitTests.Chargeback;

/// <summary>However rows come, a statement's lines, tables and adjustments add up to its total, exactly.</summary>
public sealed class StatementSheetTests
{
    private static readonly TimeWindow April = TimeWindow.MonthOf(new(2026, 4, 1, 0, 0, 0, TimeSpan.Zero));

    private static readonly ApiKeyId[] Keys = [.. Enumerable.Range(1, 3).Select(i => new ApiKeyId(new Guid(i, 0, 0, new byte[8])))];

    // Corrections are negative; amounts go to the last pico-dollar.
    private static readonly Gen<Tally> Tallies =
        Gen.Select(Gen.Long[-1_000_000, 1_000_000_000], Gen.Long[-1_000_000, 1_000_000_000], Gen.Long[-5, 5_000], Gen.Int[0, 1])
            .Select((input, output, tokens, requests) => new Tally
            {
                Requests = requests,
                InputTokens = tokens,
                OutputTokens = tokens / 2,
                InputCost = new(input),
                OutputCost = new(output),
                Estimated = requests * (tokens % 2),
            });

    private static readonly Gen<BilledRow> Rows =
        Gen.Select(
                Gen.Int[-40, 29],
                Gen.Enum<RevisionKind>(),
                Gen.OneOf("openai", "mock"),
                Gen.OneOf("gpt-4o", "gpt-4o-mini", "o3"),
                Gen.Int[0, 2].Select(i => Keys[i]),
                Gen.Dictionary(Gen.OneOf("project", "Project", "team"), Gen.OneOf("apollo", "zeus", ""))[0, 2],
                Tallies)
            .Select((day, kind, provider, model, key, tags, tally) =>
                new BilledRow(April.From.AddDays(day), kind, provider, model, key, OneSpelling(tags), tally));

    [Fact]
    public void EveryTable_AddsUpToTheTotal() => Rows.List[0, 60].Sample(rows =>
    {
        var contents = SheetOf(rows);
        var total = Tally.Sum(rows.Select(row => row.Tally));

        Assert.Equal(total, contents.Total);
        Assert.All(contents.Tags, table => Assert.Equal(total, Tally.Sum(table.Groups.Select(group => group.Tally))));
        Assert.Equal(Tally.Sum(rows.Where(row => row.IntentTime < April.From).Select(row => row.Tally)), contents.Adjusted);
    });

    [Fact]
    public void OrderOfRows_DoesNotMatter() => Gen.Select(Rows.List[0, 40], Gen.Int).Sample((rows, seed) =>
    {
        var shuffled = rows.ToArray();
        new Random(seed).Shuffle(shuffled);

        Assert.Equal(Shown(SheetOf(rows)), Shown(SheetOf(shuffled)));
    });

    [Fact]
    public void Partition_OfTheRows_AddsUpToTheWhole() => Gen.Select(Rows.List[0, 40], Gen.Int[0, 40]).Sample((rows, cut) =>
    {
        var at = Math.Min(cut, rows.Count);

        Assert.Equal(SheetOf(rows).Total, SheetOf(rows.GetRange(0, at)).Total + SheetOf(rows.GetRange(at, rows.Count - at)).Total);
    });

    [Fact]
    public void Lines_AreOnePerProviderModelAndKey() => Rows.List[1, 60].Sample(rows =>
    {
        var lines = SheetOf(rows).Lines;

        Assert.Equal(lines.Count, lines.DistinctBy(line => (line.Provider, line.Model, line.ApiKeyId)).Count());
    });

    [Fact]
    public void TagValues_BeyondTheirNumber_AreOneGroup_AndStillAddUp()
    {
        var rows = Enumerable.Range(0, StatementSheet.MaxTagValues + 1).Select(i => RowOf(new() { ["user"] = $"u{i}" }, i)).ToList();
        rows.Add(RowOf([], 7));

        var table = Assert.Single(SheetOf(rows).Tags);

        Assert.Equal([TagGroupKind.Collapsed, TagGroupKind.Untagged], table.Groups.Select(group => group.Kind));
        Assert.Equal(SheetOf(rows).Total, Tally.Sum(table.Groups.Select(group => group.Tally)));
    }

    [Fact]
    public void FailedAttempt_MakesNoLine() => Assert.Empty(SheetOf([RowOf([], 0) with { Tally = default }]).Lines);

    [Theory]
    [InlineData("2026-04-30T23:59:59.999Z", new int[0], 202604)]
    [InlineData("2026-04-15T00:00:00Z", new[] { 202604 }, 202605)]
    [InlineData("2026-12-31T00:00:00Z", new[] { 202612, 202701 }, 202702)]
    [InlineData("2026-04-15T00:00:00Z", new[] { 202603, 202605 }, 202604)]
    public void Month_ThatBillsACharge_IsItsOwn_OrTheNextOpenOne(string at, int[] closed, int expected) => Assert.Equal(
        expected,
        BillingCalendar.MonthOf(DateTimeOffset.Parse(at, System.Globalization.CultureInfo.InvariantCulture), closed.ToHashSet()).Value);

    private static StatementContents SheetOf(IEnumerable<BilledRow> rows)
    {
        var sheet = new StatementSheet(April);
        foreach (var row in rows)
        {
            sheet.Add(row);
        }

        return sheet.Close(new Dictionary<ApiKeyId, string> { [Keys[0]] = "checkout", [Keys[1]] = "search" });
    }

    private static BilledRow RowOf(Dictionary<string, string> tags, long cost) =>
        new(April.From, RevisionKind.Original, "mock", "gpt-4o", Keys[0], tags, new() { Requests = 1, InputCost = new(cost) });

    /// <summary>As the gateway hands them on: one spelling of a key in one request.</summary>
    private static Dictionary<string, string> OneSpelling(Dictionary<string, string> tags) =>
        tags.GroupBy(tag => tag.Key.ToLowerInvariant()).ToDictionary(group => group.First().Key, group => group.First().Value);

    private static string Shown(StatementContents contents) => string.Join(
        '\n',
        [
            .. contents.Lines.Select(line => line.ToString()),
            .. contents.Tags.SelectMany(table => table.Groups.Select(group => $"{table.Key} {group}")),
            .. contents.Adjustments.Select(adjustment => adjustment.ToString()),
        ]);
}
