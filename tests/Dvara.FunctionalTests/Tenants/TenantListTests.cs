using System.Net.Http.Json;
using System.Text.Json;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Tenants;

public sealed class TenantListTests(TenantListTests.ThreeTenants shared) : IClassFixture<TenantListTests.ThreeTenants>
{
    private readonly GatewayEnvironment _node = shared.Node;

    [Fact]
    public async Task Tenants_PageByPage_AreEachListedOnceNewestFirst()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        for (var i = 0; i < 7; i++)
        {
            await node.MakeTenantAsync(new { name = $"t{i}" });
        }

        var (names, ids, sizes) = (new List<string?>(), new List<string?>(), new List<int>());
        string? cursor = null;
        do
        {
            var page = await node.Admin.GetFromJsonAsync<JsonElement>($"{TenantCalls.Path}?limit=3{(cursor is null ? "" : $"&cursor={cursor}")}");
            var items = page.GetProperty("items").EnumerateArray().ToList();
            sizes.Add(items.Count);
            names.AddRange(items.Select(t => t.Text("name")));
            ids.AddRange(items.Select(t => t.Text("id")));
            cursor = page.Text("nextCursor");
        }
        while (cursor is not null);

        Assert.Equal([3, 3, 1], sizes);
        // Newest first by their id; those of one millisecond stand as chance had it.
        Assert.Equal(["t0", "t1", "t2", "t3", "t4", "t5", "t6"], names.Order(StringComparer.Ordinal));
        Assert.Equal(ids.OrderDescending(StringComparer.Ordinal), ids);
    }

    [Fact]
    public async Task LastPage_ThatIsFull_HasNoCursor()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        await node.MakeTenantAsync(new { name = "a" });
        await node.MakeTenantAsync(new { name = "b" });

        var page = await node.Admin.GetFromJsonAsync<JsonElement>($"{TenantCalls.Path}?limit=2");

        Assert.Equal(2, page.GetProperty("items").GetArrayLength());
        Assert.Null(page.Text("nextCursor"));
    }

    [Theory]
    [InlineData("name=acme", "acme")]
    [InlineData("name=Acme", "")]
    [InlineData("name=acm", "")]
    [InlineData("name=%25", "")]
    [InlineData("name=%F0%9F%9A%80%20%26", "🚀 &")]
    [InlineData("name=x'%20OR%201=1--", "")]
    [InlineData("status=SUSPENDED", "beta")]
    [InlineData("status=suspended", "beta")]
    [InlineData("metadata.cost_center=42", "acme,beta")]
    [InlineData("metadata.cost_center=42&metadata.plan=gold", "acme")]
    [InlineData("metadata.costCenter=42", "")]
    [InlineData("metadata.cost_center=", "")]
    [InlineData("metadata.a%22b%5C.c%20%C3%A9=v%22%0A%5C", "beta")]
    [InlineData("metadata.plan=gold&status=SUSPENDED", "")]
    [InlineData("metadata.plan=gold&name=acme&status=ACTIVE", "acme")]
    [InlineData("metadata.=x", "")]
    public async Task Filter_ShowsOnlyWhatMatches(string query, string names)
    {
        Assert.Equal(names, string.Join(',', (await _node.Admin.NamesAsync(query)).Order(StringComparer.Ordinal)));
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=1001", "limit")]
    [InlineData("status=OPEN", "status")]
    [InlineData("status=0", "status")]
    [InlineData("cursor=nonsense", "cursor")]
    [InlineData("sort=name", "sort")]
    [InlineData("metadata=x", "metadata")]
    [InlineData("name=a&name=b", "name")]
    [InlineData("metadata.a=1&metadata.a=2", "metadata.a")]
    public async Task Query_ThatIsWrong_Is400AndNamesTheParameter(string query, string field)
    {
        using var answer = await _node.Admin.GetAsync($"{TenantCalls.Path}?{query}");

        Assert.Equal([field], await answer.BadFieldsAsync());
    }

    [Fact]
    public async Task Cursor_OfAnotherFilter_IsRefused()
    {
        await _node.MakeTenantAsync(new { name = "a", metadata = new { k = "v" } });
        await _node.MakeTenantAsync(new { name = "b", metadata = new { k = "v" } });
        var page = await _node.Admin.GetFromJsonAsync<JsonElement>($"{TenantCalls.Path}?limit=1&metadata.k=v");
        var cursor = page.Text("nextCursor");

        using var other = await _node.Admin.GetAsync($"{TenantCalls.Path}?limit=1&metadata.k=w&cursor={cursor}");
        using var none = await _node.Admin.GetAsync($"{TenantCalls.Path}?limit=1&cursor={cursor}");

        Assert.Equal(["cursor"], await other.BadFieldsAsync());
        Assert.Equal(["cursor"], await none.BadFieldsAsync());
        Assert.Equal(["a"], await _node.Admin.NamesAsync($"limit=1&metadata.k=v&cursor={cursor}"));
    }

    public sealed class ThreeTenants : SharedNode
    {
        public override async ValueTask InitializeAsync()
        {
            await base.InitializeAsync();
            await Node.MakeTenantAsync(new { name = "acme", metadata = new Dictionary<string, string> { ["cost_center"] = "42", ["plan"] = "gold" } });
            await Node.MakeTenantAsync(new
            {
                name = "beta",
                status = "SUSPENDED",
                metadata = new Dictionary<string, string> { ["cost_center"] = "42", ["a\"b\\.c é"] = "v\"\n\\" },
            });
            await Node.MakeTenantAsync(new { name = "🚀 &" });
        }
    }
}
