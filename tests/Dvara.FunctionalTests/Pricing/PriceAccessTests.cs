using System.Net;
using System.Net.Http.Json;
using System.Text;
using Xunit;
using static Dvara.FunctionalTests.Pricing.PricingNode;

namespace Dvara.FunctionalTests.Pricing;

public sealed class PriceAccessTests(SharedPricingNode shared) : IClassFixture<SharedPricingNode>
{
    private readonly PricingNode _node = shared.Node;

    [Fact]
    public async Task Precedence_IsTenantThenCustomThenShipped()
    {
        await using var node = await PricingNode.StartAsync();
        Assert.Equal(2.5m, node.InputRate("gpt-4o", node.Now));

        (await node.PostAsync(Price("gpt-4o", 2))).Is(HttpStatusCode.Created);
        (await node.PostAsync(Price("gpt-*", 1, ("tenantId", Acme.ToString())))).Is(HttpStatusCode.Created);

        Assert.Equal(1, node.InputRate("gpt-4o", node.Now, Acme));
        Assert.Equal(2, node.InputRate("gpt-4o", node.Now, Other));
        Assert.Equal(2.5m, node.InputRate("gpt-4o", node.Now.AddSeconds(-1), Other));
    }

    [Fact]
    public async Task ShippedPrice_CannotBeChanged_AndSaysWhatToDo()
    {
        var shipped = Assert.Single((await _node.GetAsync("?provider=mock&model=gpt-4o")).Items);
        var id = shipped.GetProperty("id").GetString();

        Assert.Equal("BUILTIN", shipped.GetProperty("source").GetString());
        Assert.Contains("POST", (await _node.SendAsync(HttpMethod.Put, $"/{id}", Price())).Refuses(HttpStatusCode.Conflict, "conflict"), StringComparison.Ordinal);
        Assert.Contains("POST", (await _node.SendAsync(HttpMethod.Delete, $"/{id}")).Refuses(HttpStatusCode.Conflict, "conflict"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task NarrowedToken_SeesEverybodysAndItsOwn_AndWritesItsOwn()
    {
        const string Model = "narrowed";
        using var client = await _node.NarrowedAsync(Acme);
        var everybodys = await _node.PostAsync(Price(Model, 1));
        var foreign = await _node.PostAsync(Price(Model, 2, ("tenantId", Other.ToString())));

        var own = (await _node.SendAsync(HttpMethod.Post, "", Price(Model, 3), client: client)).Is(HttpStatusCode.Created);

        Assert.Equal(Acme.ToString(), own.Instant("tenantId"));
        var seen = (await _node.SendAsync(HttpMethod.Get, $"?model={Model}", client: client)).Items.Select(item => item.GetProperty("id").GetString());
        Assert.Equal(new[] { own.Id, everybodys.Id }.Order(), seen.Order());
        (await _node.SendAsync(HttpMethod.Get, $"/{everybodys.Id}", client: client)).Is(HttpStatusCode.OK);
        (await _node.SendAsync(HttpMethod.Get, $"/{foreign.Id}", client: client)).Refuses(HttpStatusCode.NotFound, "not_found");
        (await _node.SendAsync(HttpMethod.Put, $"/{foreign.Id}", Price(), client: client)).Refuses(HttpStatusCode.NotFound, "not_found");
        (await _node.SendAsync(HttpMethod.Delete, $"/{foreign.Id}", client: client)).Refuses(HttpStatusCode.NotFound, "not_found");
        (await _node.SendAsync(HttpMethod.Delete, $"/{everybodys.Id}", client: client)).Refuses(HttpStatusCode.Forbidden, "missing_scope");
        (await _node.SendAsync(HttpMethod.Get, $"?tenantId={Other}", client: client)).Refuses(HttpStatusCode.NotFound, "not_found");
        (await _node.SendAsync(HttpMethod.Post, "", Price(more: ("tenantId", Other.ToString())), client: client)).Refuses(HttpStatusCode.NotFound, "not_found");
        (await _node.ImportAsync($"provider,model,inputPerMillionUsd,outputPerMillionUsd,tenantId\nopenai,x,1,1,{Other}\n", client: client))
            .Refuses(HttpStatusCode.BadRequest, "validation_error", "rows[2].tenantId");
        (await _node.SendAsync(HttpMethod.Delete, $"/{own.Id}", client: client)).Is(HttpStatusCode.NoContent);
    }

    [Fact]
    public async Task Viewer_ReadsAndDoesNotWrite()
    {
        using var made = await _node.Admin.PostAsJsonAsync("/v1/admin/tokens", new { name = "viewer", role = "viewer" });
        using var client = new HttpClient { BaseAddress = _node.Admin.BaseAddress };
        var token = System.Text.Json.JsonDocument.Parse(await made.Content.ReadAsStringAsync()).RootElement.GetProperty("token").GetString();
        client.DefaultRequestHeaders.Authorization = new("Bearer", token);

        (await _node.SendAsync(HttpMethod.Get, "", client: client)).Is(HttpStatusCode.OK);
        (await _node.SendAsync(HttpMethod.Post, "", Price(), client: client)).Refuses(HttpStatusCode.Forbidden, "missing_scope");
        (await _node.ImportAsync("", client: client)).Refuses(HttpStatusCode.Forbidden, "missing_scope");
    }

    [Fact]
    public async Task List_PagedThroughEveryShippedPrice_ShowsEachOnce()
    {
        var newest = await _node.PostAsync(Price());
        var ids = new List<string?>();
        string? cursor = null;
        do
        {
            var page = await _node.GetAsync("?limit=100" + (cursor is null ? "" : $"&cursor={cursor}"));
            ids.AddRange(page.Items.Select(item => item.GetProperty("id").GetString()));
            cursor = page.Json.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null);

        Assert.Equal(_node.Book.All.Count, ids.Distinct().Count());
        Assert.Equal(ids.Count, ids.Distinct().Count());
        Assert.Contains(newest.Id, ids);
    }

    [Fact]
    public async Task List_Filtered_ShowsWhatMatches()
    {
        await using var node = await PricingNode.StartAsync();
        await node.PostAsync(Price("gpt-4o", 1));
        await node.PostAsync(Price("gpt-4o", 2));
        await node.PostAsync(Price("gpt-4o", 3, ("tenantId", Acme.ToString())));

        Assert.Equal(4, (await node.GetAsync("?provider=openai&model=gpt-4o")).Items.Count);
        Assert.Equal(3, (await node.GetAsync("?source=custom")).Items.Count);
        Assert.Equal(3, Assert.Single((await node.GetAsync($"?tenant_id={Acme}")).Items).GetProperty("inputPerMillionUsd").GetDecimal());
        var now = (await node.GetAsync("?model=gpt-4o&source=CUSTOM&at=2026-04-15T12:00:04.999Z")).Items;
        Assert.Equal([1m, 3m], now.Select(item => item.GetProperty("inputPerMillionUsd").GetDecimal()).Order());
        var later = (await node.GetAsync("?model=gpt-4o&source=CUSTOM&at=2026-04-15T12:00:05Z")).Items;
        Assert.Equal([2m, 3m], later.Select(item => item.GetProperty("inputPerMillionUsd").GetDecimal()).Order());
    }

    [Theory]
    [InlineData("?source=MINE", "source")]
    [InlineData("?at=2026-04-15", "at")]
    [InlineData("?limit=0", "limit")]
    [InlineData("?limit=1001", "limit")]
    [InlineData("?tenantId=acme", "tenantId")]
    [InlineData("?sort=model", "sort")]
    [InlineData("/unpriced?from=2026-04-15", "from")]
    [InlineData("/unpriced?source=CUSTOM", "source")]
    public async Task Query_ThatIsWrong_IsNamed(string rest, string field)
    {
        (await _node.GetAsync(rest)).Refuses(HttpStatusCode.BadRequest, "validation_error", field);
    }

    [Fact]
    public async Task Call_ThatIsMalformed_IsRefusedCleanly()
    {
        var page = await _node.GetAsync("?limit=1");
        var cursor = page.Json.GetProperty("nextCursor").GetString();

        (await _node.GetAsync($"?limit=1&provider=openai&cursor={cursor}")).Refuses(HttpStatusCode.BadRequest, "validation_error", "cursor");
        (await _node.GetAsync("?cursor=AAAA")).Refuses(HttpStatusCode.BadRequest, "validation_error", "cursor");
        (await _node.GetAsync("/unpriced?cursor=AAAA")).Refuses(HttpStatusCode.BadRequest, "validation_error", "cursor");
        (await _node.GetAsync("/nothing")).Refuses(HttpStatusCode.NotFound, "not_found");
        (await _node.SendAsync(HttpMethod.Delete, $"/{Guid.NewGuid()}")).Refuses(HttpStatusCode.NotFound, "not_found");
        (await _node.PostAsync(Price(more: ("inputPerMillionUsd", -1)))).Refuses(HttpStatusCode.BadRequest, "validation_error", "inputPerMillionUsd");
        (await _node.PostAsync(Price(more: ("tenantId", Guid.NewGuid().ToString())))).Refuses(HttpStatusCode.NotFound, "not_found");
        (await _node.PostAsync(Price(more: ("currency", "USDD")))).Refuses(HttpStatusCode.BadRequest, "validation_error", "currency");
        Assert.Equal(HttpStatusCode.BadRequest, await PostAsync(_node, "{\"provider\":\"a\",\"provider\":\"b\"}", "application/json"));
        Assert.Equal(HttpStatusCode.BadRequest, await PostAsync(_node, "[1]", "application/json"));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, await PostAsync(_node, "a=b", "application/x-www-form-urlencoded"));
    }

    private static async Task<HttpStatusCode> PostAsync(PricingNode node, string body, string type)
    {
        using var answer = await node.Admin.PostAsync(PricingNode.Path, new StringContent(body, Encoding.UTF8, type));
        return answer.StatusCode;
    }
}
