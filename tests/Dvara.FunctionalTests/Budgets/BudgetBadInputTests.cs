using System.Net;
using System.Text.Json;
using Dvara.FunctionalTests.Tenants;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

/// <summary>Hostile and mistaken input: refused by name, and nothing is left behind.</summary>
public sealed class BudgetBadInputTests(BudgetBadInputTests.Node shared) : IClassFixture<BudgetBadInputTests.Node>
{
    private BudgetsNode It => shared.It;

    /// <summary>What replaces, or joins, the members of a body that is right.</summary>
    [Theory]
    [InlineData("""{"limitUsd":-1}""", "limitUsd")]
    [InlineData("""{"limitUsd":-0.000000000001}""", "limitUsd")]
    [InlineData("""{"limitUsd":"NaN"}""", "limitUsd")]
    [InlineData("""{"limitUsd":"Infinity"}""", "limitUsd")]
    [InlineData("""{"limitUsd":1e30}""", "limitUsd")]
    [InlineData("""{"limitUsd":1e-13}""", "limitUsd")]
    [InlineData("""{"limitUsd":0.0000000000001}""", "limitUsd")]
    [InlineData("""{"limitUsd":"0.0000000000001"}""", "limitUsd")]
    [InlineData("""{"limitUsd":9000000.000000000001}""", "limitUsd")]
    [InlineData("""{"limitUsd":99999999999999999999999999999999999999}""", "limitUsd")]
    [InlineData("""{"limitUsd":"10,00"}""", "limitUsd")]
    [InlineData("""{"limitUsd":"$10"}""", "limitUsd")]
    [InlineData("""{"limitUsd":" 10"}""", "limitUsd")]
    [InlineData("""{"limitUsd":"10\n"}""", "limitUsd")]
    [InlineData("""{"limitUsd":"١٠"}""", "limitUsd")]
    [InlineData("""{"limitUsd":""}""", "limitUsd")]
    [InlineData("""{"limitUsd":null}""", "limitUsd")]
    [InlineData("""{"limitUsd":true}""", "limitUsd")]
    [InlineData("""{"limitUsd":[10]}""", "limitUsd")]
    [InlineData("""{"softLimitPct":0}""", "softLimitPct")]
    [InlineData("""{"softLimitPct":101}""", "softLimitPct")]
    [InlineData("""{"softLimitPct":80.5}""", "softLimitPct")]
    [InlineData("""{"softLimitPct":-1}""", "softLimitPct")]
    [InlineData("""{"softLimitPct":"80"}""", "softLimitPct")]
    [InlineData("""{"softLimitPct":99999999999999999999}""", "softLimitPct")]
    [InlineData("""{"period":"MONTHLYY"}""", "period")]
    [InlineData("""{"period":"YEARLY"}""", "period")]
    [InlineData("""{"period":null}""", "period")]
    [InlineData("""{"period":2}""", "period")]
    [InlineData("""{"period":"2"}""", "period")]
    [InlineData("""{"timeZone":"Mars/Base"}""", "timeZone")]
    [InlineData("""{"timeZone":"europe/berlin"}""", "timeZone")]
    [InlineData("""{"timeZone":""}""", "timeZone")]
    [InlineData("""{"timeZone":60}""", "timeZone")]
    [InlineData("""{"name":""}""", "name")]
    [InlineData("""{"name":" \u00a0 "}""", "name")]
    [InlineData("""{"name":"a\nb"}""", "name")]
    [InlineData("""{"name":null}""", "name")]
    [InlineData("""{"model":""}""", "model")]
    [InlineData("""{"model":"gpt-*-mini"}""", "model")]
    [InlineData("""{"model":"gpt-**"}""", "model")]
    [InlineData("""{"model":"gpt 4o"}""", "model")]
    [InlineData("""{"model":"gpt\u0000"}""", "model")]
    [InlineData("""{"model":["gpt-4o"]}""", "model")]
    [InlineData("""{"tag":{}}""", "tag")]
    [InlineData("""{"tag":{"key":"a"}}""", "tag")]
    [InlineData("""{"tag":{"key":"","value":"x"}}""", "tag")]
    [InlineData("""{"tag":{"key":"a\tb","value":"x"}}""", "tag")]
    [InlineData("""{"tag":{"key":"a","value":"x\u0000"}}""", "tag")]
    [InlineData("""{"tag":{"key":"a","value":"x","more":1}}""", "tag")]
    [InlineData("""{"tag":{"key":"a","value":1}}""", "tag.value")]
    [InlineData("""{"tag":"a:x"}""", "tag")]
    [InlineData("""{"tag":[]}""", "tag")]
    [InlineData("""{"mode":"LAX"}""", "mode")]
    [InlineData("""{"mode":0}""", "mode")]
    [InlineData("""{"onShortfall":"BLOCK"}""", "onShortfall")]
    [InlineData("""{"enabled":"true"}""", "enabled")]
    [InlineData("""{"enabled":1}""", "enabled")]
    [InlineData("""{"assumedMaxOutputTokens":0}""", "assumedMaxOutputTokens")]
    [InlineData("""{"assumedMaxOutputTokens":10000001}""", "assumedMaxOutputTokens")]
    [InlineData("""{"assumedMaxOutputTokens":1.5}""", "assumedMaxOutputTokens")]
    [InlineData("""{"holdWaitMs":-1}""", "holdWaitMs")]
    [InlineData("""{"holdWaitMs":60001}""", "holdWaitMs")]
    [InlineData("""{"holdWaitMs":"2s"}""", "holdWaitMs")]
    [InlineData("""{"tenantId":"Acme"}""", "tenantId")]
    [InlineData("""{"tenantId":7}""", "tenantId")]
    [InlineData("""{"tenantId":"01985a3e-0000-7000-8000-000000000000"}""", "tenantId")]
    [InlineData("""{"apiKeyId":"gw_1"}""", "apiKeyId")]
    [InlineData("""{"apiKeyId":"01985a3e-0000-7000-8000-000000000000"}""", "apiKeyId")]
    [InlineData("""{"limit":10}""", "limit")]
    [InlineData("""{"spentUsd":0,"status":"OK","deletedAt":null}""", "spentUsd,status,deletedAt")]
    [InlineData("""{"__proto__":{}}""", "proto")]
    [InlineData("""{"tag":1,"model":"","name":"","period":"","timeZone":"x","limitUsd":-1,"softLimitPct":0,"enabled":0,"mode":"","x":1}""",
        "tag,enabled,model,period,timeZone,name,limitUsd,softLimitPct,mode,x")]
    public async Task Body_ThatIsWrong_Is400AndNamesEveryField(string members, string fields)
    {
        var body = JsonSerializer.Serialize(BudgetsNode.Body(JsonDocument.Parse(members).RootElement));

        using var answer = await It.Admin.SendAsync(HttpMethod.Post, BudgetsNode.Path, body);

        Assert.Equal(fields.Split(','), await answer.BadFieldsAsync());
        Assert.Empty(await It.NamesAsync(""));
    }

    [Theory]
    [InlineData("{}", "period,name,limitUsd")]
    [InlineData("[]", "")]
    public async Task Body_WithoutWhatIsRequired_Is400(string body, string fields)
    {
        using var answer = await It.Admin.SendAsync(HttpMethod.Post, BudgetsNode.Path, body);

        Assert.Equal(fields.Split(','), await answer.BadFieldsAsync());
    }

    [Theory]
    [InlineData("""{"name":"a","period":"DAILY","limitUsd":NaN}""")]
    [InlineData("""{"name":"a","period":"DAILY","limitUsd":10,"limitUsd":20}""")]
    [InlineData("""{"name":"a","period":"DAILY","limitUsd":010}""")]
    [InlineData("""{"name":"\ud800","period":"DAILY","limitUsd":10}""")]
    [InlineData("""{"name":"a","period":"DAILY","limitUsd":10,"tag":{"key":"a","key":"b"}}""")]
    public async Task Body_ThatIsNoJson_Is400(string body)
    {
        using var answer = await It.Admin.SendAsync(HttpMethod.Post, BudgetsNode.Path, body);

        Assert.Equal("invalid_json", await answer.CodeAsync(HttpStatusCode.BadRequest));
    }

    [Fact]
    public async Task Limit_OutOfBounds_NamesTheBound()
    {
        using var answer = await It.Admin.SendAsync(
            HttpMethod.Post, BudgetsNode.Path, JsonSerializer.Serialize(BudgetsNode.Body(new { limitUsd = 9_000_001, softLimitPct = 101 })));

        var error = (await answer.JsonAsync(HttpStatusCode.BadRequest)).GetProperty("error");
        Assert.Equal("limitUsd", error.Text("param"));
        Assert.Contains("9000000", error.Text("message"), StringComparison.Ordinal);
        Assert.Contains("from 1 to 100", error.Text("message"), StringComparison.Ordinal);
    }

    /// <summary>Each limit: what just fits, and one more.</summary>
    [Theory]
    [InlineData("name", 200)]
    [InlineData("model", 200)]
    [InlineData("tag key", 64)]
    [InlineData("tag value", 256)]
    public async Task Text_AtItsLimit_IsTaken_AndOneAbove_Is400(string what, int limit)
    {
        using var fits = await It.Admin.SendAsync(HttpMethod.Post, BudgetsNode.Path, Body(what, limit));
        using var exceeds = await It.Admin.SendAsync(HttpMethod.Post, BudgetsNode.Path, Body(what, limit + 1));

        var made = await fits.JsonAsync(HttpStatusCode.Created);
        Assert.Equal(what.Split(' ')[0], Assert.Single(await exceeds.BadFieldsAsync()));
        using var gone = await It.Admin.DeleteAsync(BudgetsNode.UriOf(made));

        static string Body(string what, int chars) => JsonSerializer.Serialize(BudgetsNode.Body(what switch
        {
            "name" => new { name = new string('x', chars) },
            "model" => new { model = new string('m', chars - 1) + "*" },
            "tag key" => new { tag = new { key = new string('k', chars), value = "" } },
            _ => new { tag = new { key = "k", value = new string('v', chars) } },
        }));
    }

    [Fact]
    public async Task Scope_OfWhatIsForeignUnknownOrClosed_Is400()
    {
        using var other = await TestTenant.CreateAsync(It.Environment);
        using var closed = await TestTenant.CreateAsync(It.Environment);
        using var _ = await It.Admin.DeleteAsync($"/v1/admin/tenants/{closed.Id}");
        using var narrowed = await It.NarrowedAsync();

        (HttpClient Client, object Scope, string Field)[] table =
        [
            (It.Admin, new { tenantId = It.Tenant.Id, apiKeyId = other.KeyId }, "apiKeyId"),
            (It.Admin, new { tenantId = It.Tenant.Id, apiKeyId = Guid.CreateVersion7() }, "apiKeyId"),
            (It.Admin, new { tenantId = closed.Id }, "tenantId"),
            (It.Admin, new { apiKeyId = closed.KeyId }, "tenantId"),
            (narrowed, new { tenantId = other.Id }, "tenantId"),
            (narrowed, new { tenantId = Guid.CreateVersion7() }, "tenantId"),
            (narrowed, new { apiKeyId = other.KeyId }, "apiKeyId"),
            (narrowed, new { apiKeyId = Guid.CreateVersion7() }, "apiKeyId"),
        ];
        foreach (var (client, scope, field) in table)
        {
            using var answer = await client.SendAsync(HttpMethod.Post, BudgetsNode.Path, JsonSerializer.Serialize(BudgetsNode.Body(scope)));
            Assert.Equal([field], await answer.BadFieldsAsync());
        }

        Assert.Empty(await It.NamesAsync(""));
    }

    [Theory]
    [InlineData("""{"tenantId":null}""", "tenantId")]
    [InlineData("""{"tenantId":"01985a3e-0000-7000-8000-000000000000"}""", "tenantId")]
    [InlineData("""{"apiKeyId":"01985a3e-0000-7000-8000-000000000000"}""", "apiKeyId")]
    [InlineData("""{"tag":null}""", "tag")]
    [InlineData("""{"tag":{"key":"team","value":"y"}}""", "tag")]
    [InlineData("""{"model":"gpt*"}""", "model")]
    [InlineData("""{"period":"DAILY"}""", "period")]
    [InlineData("""{"period":"MONTHLYY"}""", "period")]
    [InlineData("""{"timeZone":"UTC"}""", "timeZone")]
    [InlineData("""{"timeZone":null}""", "timeZone")]
    [InlineData("""{"timeZone":"Mars/Base"}""", "timeZone")]
    [InlineData("""{"tenantId":null,"tag":null,"period":"DAY","limitUsd":-1}""", "tenantId,tag,period,limitUsd")]
    public async Task ScopePeriodAndZone_WhenChanged_Are400(string members, string fields)
    {
        var made = await It.MakeAsync(new { tenantId = It.Tenant.Id, tag = new { key = "team", value = "x" }, timeZone = "Europe/Berlin" });
        var whole = BudgetsNode.Body(JsonDocument.Parse(members).RootElement);

        using var patch = await It.Admin.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(made), members);
        using var put = await It.Admin.SendAsync(HttpMethod.Put, BudgetsNode.UriOf(made), JsonSerializer.Serialize(whole));

        Assert.Equal(fields.Split(','), await patch.BadFieldsAsync());
        Assert.Equal(fields.Split(','), await put.BadFieldsAsync());
        Assert.Equal(made.GetRawText(), await It.Admin.GetStringAsync(BudgetsNode.UriOf(made)));
        using var gone = await It.Admin.DeleteAsync(BudgetsNode.UriOf(made));
    }

    [Fact]
    public async Task TenantsOwnBudget_AboveThePlatformsCeiling_Is400()
    {
        using var tenant = await TestTenant.CreateAsync(It.Environment);
        using var narrowed = await It.NarrowedAsync(tenant.Id);
        var before = await It.MakeAsync(new { limitUsd = 50 }, narrowed);
        var ceiling = await It.MakeAsync(new { tenantId = tenant.Id, limitUsd = 20.5 });

        using var above = await narrowed.SendAsync(HttpMethod.Post, BudgetsNode.Path, JsonSerializer.Serialize(BudgetsNode.Body(new { limitUsd = 20.51 })));
        using var raised = await narrowed.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(before), """{"limitUsd":51}""");
        using var renamed = await narrowed.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(before), """{"name":"renamed"}""");
        using var lowered = await narrowed.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(before), """{"limitUsd":30}""");
        var daily = await It.MakeAsync(new { limitUsd = 100, period = "DAILY" }, narrowed);
        var within = await It.MakeAsync(new { limitUsd = 20.5 }, narrowed);

        Assert.Contains("20.5", (await above.JsonAsync(HttpStatusCode.BadRequest)).GetProperty("error").Text("message"), StringComparison.Ordinal);
        Assert.Equal(["limitUsd"], await above.BadFieldsAsync());
        Assert.Equal(["limitUsd"], await raised.BadFieldsAsync());
        Assert.Equal(HttpStatusCode.OK, renamed.StatusCode);
        Assert.Equal(HttpStatusCode.OK, lowered.StatusCode);
        foreach (var budget in new[] { before, ceiling, daily, within })
        {
            using var gone = await It.Admin.DeleteAsync(BudgetsNode.UriOf(budget));
        }
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=1001", "limit")]
    [InlineData("cursor=x", "cursor")]
    [InlineData("enabled=1", "enabled")]
    [InlineData("enabled=TRUE", "enabled")]
    [InlineData("period=2026-04", "period")]
    [InlineData("tenantId=Acme", "tenantId")]
    [InlineData("apiKeyId=", "apiKeyId")]
    [InlineData("sort=name", "sort")]
    public async Task Query_ThatIsWrong_Is400(string query, string field)
    {
        using var answer = await It.Admin.GetAsync($"{BudgetsNode.Path}?{query}");

        Assert.Equal([field], await answer.BadFieldsAsync());
    }

    [Theory]
    [InlineData("1")]
    [InlineData("-1")]
    [InlineData("{01985a3e-0000-7000-8000-000000000000}")]
    [InlineData("01985a3e-0000-7000-8000-000000000000")]
    public async Task Id_ThatIsNone_Is404(string id)
    {
        using var read = await It.Admin.GetAsync($"{BudgetsNode.Path}/{id}");
        using var usage = await It.Admin.GetAsync($"{BudgetsNode.Path}/{id}/usage");
        using var put = await It.Admin.SendAsync(HttpMethod.Put, $"{BudgetsNode.Path}/{id}", """{"name":"x","limitUsd":1}""");
        using var delete = await It.Admin.DeleteAsync($"{BudgetsNode.Path}/{id}");

        foreach (var answer in new[] { read, usage, put, delete })
        {
            Assert.Equal("not_found", await answer.CodeAsync(HttpStatusCode.NotFound));
        }
    }

    [Fact]
    public async Task Cursor_OfOtherFilters_Is400()
    {
        var made = new[] { await It.MakeAsync(), await It.MakeAsync() };
        using var page = await It.Admin.GetAsync($"{BudgetsNode.Path}?limit=1");
        var cursor = (await page.JsonAsync(HttpStatusCode.OK)).Text("nextCursor");

        using var other = await It.Admin.GetAsync($"{BudgetsNode.Path}?limit=1&enabled=true&cursor={cursor}");

        Assert.Equal(["cursor"], await other.BadFieldsAsync());
        foreach (var budget in made)
        {
            using var gone = await It.Admin.DeleteAsync(BudgetsNode.UriOf(budget));
        }
    }

    /// <summary>One node for all of them: none may leave anything in it.</summary>
    public sealed class Node : IAsyncLifetime
    {
        internal BudgetsNode It { get; private set; } = null!;

        public async ValueTask InitializeAsync() => It = await BudgetsNode.StartAsync();

        public ValueTask DisposeAsync() => It.DisposeAsync();
    }
}
