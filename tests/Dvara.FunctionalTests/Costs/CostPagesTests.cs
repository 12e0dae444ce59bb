using System.Net;
using System.Text.Json;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

public sealed class CostPagesTests(CostPagesTests.Node node) : IClassFixture<CostPagesTests.Node>
{
    private static readonly DateTimeOffset Noon = new(2026, 4, 15, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("", 1)]
    [InlineData("", 7)]
    [InlineData("", 40)]
    [InlineData("&provider=mock", 3)]
    [InlineData("&tag=team:a", 3)]
    [InlineData("&state=settled", 4)]
    public async Task Pages_Followed_ShowEveryLineOnceNewestFirst(string filter, int limit)
    {
        var all = Ids(await node.GetAsync($"?limit=1000{filter}"));

        var paged = await FollowAsync(node, $"?limit={limit}{filter}", () => Task.CompletedTask);

        Assert.Equal(all, paged);
        Assert.Equal(all.OrderDescending(StringComparer.Ordinal), all);
        Assert.NotEmpty(all);
    }

    [Fact]
    public async Task Pages_WhileChargesArrive_RepeatAndMissNothingThatWasThere()
    {
        var random = new Random(6);
        await using var own = await CostsNode.StartAsync(SomeCharges.Random(random, Noon, Noon.AddHours(1), 60));
        var before = Ids(await own.GetAsync("?limit=1000"));

        var paged = await FollowAsync(
            own, "?limit=7", () => own.AddAsync(SomeCharges.Random(random, Noon.AddHours(-1), Noon.AddHours(3), 10)));

        Assert.Equal(paged.Count, paged.Distinct().Count());
        Assert.Empty(before.Except(paged));
        Assert.Equal(paged.OrderDescending(StringComparer.Ordinal), paged);
    }

    [Fact]
    public async Task Cursor_EditedOrOfAnotherList_IsRefused()
    {
        var cursor = (await node.GetAsync("?limit=2&provider=openai")).GetProperty("nextCursor").GetString()!;
        var edited = (cursor[0] == 'A' ? 'B' : 'A') + cursor[1..];

        await node.GetAsync($"?limit=3&provider=openai&cursor={cursor}");
        foreach (var query in new[]
        {
            $"?cursor={cursor}", $"?provider=mock&cursor={cursor}", $"?provider=openai&cursor={edited}", $"?provider=openai&cursor={cursor[..^4]}",
            $"?provider=openai&tenantId={SomeCharges.Tenants[0]}&cursor={cursor}", $"?provider=openai&from=2026-01-01T00:00:00Z&cursor={cursor}",
            "?cursor=", "?cursor=abc", "?cursor=%00", $"?cursor={new string('A', 3000)}",
        })
        {
            var error = await node.RefusedAsync(query, HttpStatusCode.BadRequest, "validation_error");
            Assert.Equal("cursor", error.GetProperty("param").GetString());
        }
    }

    private static async Task<List<string>> FollowAsync(CostsNode node, string query, Func<Task> between)
    {
        var ids = new List<string>();
        for (var cursor = ""; cursor is not null;)
        {
            var page = await node.GetAsync(query + (cursor.Length == 0 ? "" : $"&cursor={cursor}"));
            ids.AddRange(Ids(page));
            cursor = page.GetProperty("nextCursor").GetString();
            await between();
            Assert.True(ids.Count < 10_000, "The pages do not end.");
        }

        return ids;
    }

    private static List<string> Ids(JsonElement page) =>
        [.. page.GetProperty("items").EnumerateArray().Select(line => line.GetProperty("id").GetString()!)];

    public sealed class Node() : CostsNode(SomeCharges.Random(new Random(5), Noon, Noon.AddHours(1), 40));
}
