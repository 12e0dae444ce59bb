using CsCheck;
using Dvara.Server.Costs;
using Xunit;

namespace Dvara.UnitTests.Costs;

public sealed class CostTallyTests
{
    private static readonly CostDimension Provider = new("provider", CostDimensionKind.Provider);
    private static readonly CostDimension Day = new("day", CostDimensionKind.Day);

    private static readonly string[] Providers = ["a", "b", "c"];
    private static readonly string?[] Tags = ["x", "y", null];

    private static readonly Gen<CostCell> Cells = Gen.Select(
        Gen.Int[0, 2].Select(i => Providers[i]), Gen.Int[0, 2].Select(i => Tags[i]), Gen.Long[0, 3], Gen.Long,
        (provider, tag, day, cost) => new CostCell
        {
            Provider = provider,
            TagValue = tag,
            StartMs = day * TimeCover.DayMs,
            Sums = new() { Requests = 1, InputCostPicoUsd = cost, OutputCostPicoUsd = cost },
        });

    [Fact]
    public void Groups_OfAnyCells_AddUpToTheTotal() =>
        Cells.List[0, 200].Sample(cells =>
        {
            var tally = Tally([Provider, CostDimension.OfTag("Team"), Day], cells);

            Assert.Equal(cells.Aggregate(default(Sums), (sum, cell) => sum + cell.Sums), tally.Total);
            Assert.Equal(tally.Total, tally.Groups().Aggregate(default(Sums), (sum, group) => sum + group.Sums));
            Assert.Equal(cells.Select(c => (c.Provider, c.TagValue, c.StartMs)).Distinct().Count(), tally.Groups().Count());
        });

    [Fact]
    public void Groups_AreDearestFirst() =>
        Cells.List[1, 50].Sample(cells =>
        {
            var costs = Tally([Provider], cells).Groups().Select(group => group.Sums.CostPicoUsd).ToList();

            Assert.Equal(costs.OrderDescending(), costs);
        });

    [Fact]
    public void Groups_ByTime_AreInOrderOfTime() =>
        Cells.List[1, 50].Sample(cells =>
        {
            var days = Tally([Provider, Day], cells).Groups().Select(group => group.Key[1]).ToList();

            Assert.Equal(days.Order(StringComparer.Ordinal), days);
        });

    [Fact]
    public void Tally_OfTheLastGroupThatFits_IsWhole_AndOfOneMoreIsNot()
    {
        var tally = new CostTally([Provider], groupsMax: 2);
        foreach (var provider in new[] { "a", "b", "a" })
        {
            tally.Add(new() { Provider = provider, Sums = new() { Requests = 1 } });
        }

        Assert.False(tally.IsOverfull);
        tally.Add(new() { Provider = "c", Sums = new() { Requests = 1 } });
        Assert.True(tally.IsOverfull);
    }

    [Fact]
    public void Group_FromWhichEverythingIsTakenAway_IsNotShown()
    {
        var tagged = new CostCell { Provider = "a", TagValue = "x", Sums = new() { Requests = 2, Output = 5 } };

        var tally = Tally([CostDimension.OfTag("team")], [new() { Provider = "a", Sums = tagged.Sums }, tagged, tagged.Untagged()]);

        var (key, sums) = Assert.Single(tally.Groups());
        Assert.Equal(["x"], key);
        Assert.Equal(tagged.Sums, sums);
    }

    private static CostTally Tally(IReadOnlyList<CostDimension> dimensions, IEnumerable<CostCell> cells)
    {
        var tally = new CostTally(dimensions);
        foreach (var cell in cells)
        {
            tally.Add(cell);
        }

        return tally;
    }
}
