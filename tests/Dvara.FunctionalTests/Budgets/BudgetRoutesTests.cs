using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Dvara.FunctionalTests.Tenants;
using Dvara.Server.Budgets;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

public sealed class BudgetRoutesTests : IAsyncLifetime
{
    private BudgetsNode _node = null!;

    public async ValueTask InitializeAsync() => _node = await BudgetsNode.StartAsync();

    public ValueTask DisposeAsync() => _node.DisposeAsync();

    [Fact]
    public async Task Budget_WhenMade_IsReadAsItWasAnswered()
    {
        using var answer = await _node.Admin.SendAsync(HttpMethod.Post, BudgetsNode.Path, $$"""
            {"id":"01985a3e-0000-7000-8000-000000000000","tenant_id":"{{_node.Tenant.Id}}","apiKeyId":"{{_node.Tenant.KeyId}}",
             "tag":{"key":"Cost_Center","value":""},"model":"gpt-4o*","name":"  Žluťoučký kůň ","period":"week","timeZone":"Asia/Kolkata",
             "limitUsd":"8999999.999999999999","softLimitPct":null,"enabled":false,"mode":"elastic","onShortfall":"Refuse",
             "assumedMaxOutputTokens":1,"holdWaitMs":0}
            """);

        var made = await answer.JsonAsync(HttpStatusCode.Created);
        var id = Guid.Parse(made.Text("id")!);
        Assert.NotEqual(Guid.Parse("01985a3e-0000-7000-8000-000000000000"), id);
        Assert.Equal(7, id.Version);
        Assert.Equal(BudgetsNode.UriOf(made), answer.Headers.Location!.ToString());
        Assert.Equal(
            $$"""
            {"id":"{{id}}","tenantId":"{{_node.Tenant.Id}}","apiKeyId":"{{_node.Tenant.KeyId}}","tag":{"key":"Cost_Center","value":""},"model":"gpt-4o*","name":"Žluťoučký kůň","period":"WEEKLY","limitUsd":8999999.999999999999,"softLimitPct":null,"enabled":false,"mode":"ELASTIC","onShortfall":"REFUSE","assumedMaxOutputTokens":1,"holdWaitMs":0,"timeZone":"Asia/Kolkata","provenance":"PLATFORM","createdAt":"2026-05-06T12:34:56.789Z","updatedAt":"2026-05-06T12:34:56.789Z"}
            """,
            made.GetRawText());

        using var read = await _node.Admin.GetAsync(BudgetsNode.UriOf(made));
        Assert.Equal(made.GetRawText(), (await read.JsonAsync(HttpStatusCode.OK)).GetRawText());
        Assert.Equal(answer.Headers.ETag, read.Headers.ETag);
        Assert.NotNull(read.Headers.ETag);
    }

    [Fact]
    public async Task Budget_OfWhatIsRequiredAlone_IsTheFleetsWithTheUsualValues()
    {
        var made = await _node.MakeAsync();

        foreach (var absent in new[] { "tenantId", "apiKeyId", "tag", "model" })
        {
            Assert.Equal(JsonValueKind.Null, made.GetProperty(absent).ValueKind);
        }

        Assert.Equal(("80", "true", "16384", "2000"), (Raw("softLimitPct"), Raw("enabled"), Raw("assumedMaxOutputTokens"), Raw("holdWaitMs")));
        Assert.Equal(("STRICT", "CLAMP", "UTC"), (made.Text("mode"), made.Text("onShortfall"), made.Text("timeZone")));

        string Raw(string member) => made.GetProperty(member).GetRawText();
    }

    [Fact]
    public async Task Budget_OfAKey_HasTheKeysTenant()
    {
        var made = await _node.MakeAsync(new { apiKeyId = _node.Tenant.KeyId });

        Assert.Equal(_node.Tenant.Id, made.Text("tenantId"));
    }

    [Fact]
    public async Task Period_UnderEitherName_IsTaken()
    {
        foreach (var (given, period) in new[]
        {
            ("DAILY", "DAILY"), ("day", "DAILY"), ("Weekly", "WEEKLY"), ("WEEK", "WEEKLY"), ("monthly", "MONTHLY"), ("MONTH", "MONTHLY"),
        })
        {
            Assert.Equal((given, period), (given, (await _node.MakeAsync(new { period = given })).Text("period")));
        }
    }

    [Fact]
    public async Task Budgets_OfOneScopeAndPeriod_StandSideBySide()
    {
        await _node.MakeAsync(new { name = "a", tenantId = _node.Tenant.Id, limitUsd = 10 });
        await _node.MakeAsync(new { name = "b", tenantId = _node.Tenant.Id, limitUsd = 20 });

        Assert.Equal(["a", "b"], (await _node.NamesAsync("period=MONTHLY")).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Post_RepeatedWithItsIdempotencyKey_MakesOneBudget()
    {
        var ids = new List<string?>();
        for (var i = 0; i < 2; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, BudgetsNode.Path) { Content = JsonContent.Create(BudgetsNode.Body()) };
            request.Headers.Add("Idempotency-Key", "k-1");
            using var answer = await _node.Admin.SendAsync(request);
            ids.Add((await answer.JsonAsync(HttpStatusCode.Created)).Text("id"));
        }

        Assert.Equal(ids[0], ids[1]);
        Assert.Single(await _node.NamesAsync(""));
    }

    [Fact]
    public async Task Put_OfWhatWasRead_ChangesNothing()
    {
        var made = await _node.MakeAsync(
            new { apiKeyId = _node.Tenant.KeyId, tag = new { key = "team", value = "x" }, model = "gpt*", softLimitPct = (int?)null });
        using var read = await _node.Admin.GetAsync(BudgetsNode.UriOf(made));

        using var answer = await _node.Admin.SendAsync(HttpMethod.Put, BudgetsNode.UriOf(made), made.GetRawText());

        Assert.Equal(made.GetRawText(), (await answer.JsonAsync(HttpStatusCode.OK)).GetRawText());
        Assert.Equal(read.Headers.ETag, answer.Headers.ETag);
        Assert.Single(await _node.EventsAsync());
    }

    [Fact]
    public async Task Put_Replaces_AndWhatItLeavesOutIsAsUsual_ButScopePeriodAndZone()
    {
        var made = await _node.MakeAsync(new
        {
            tenantId = _node.Tenant.Id, period = "DAILY", timeZone = "Europe/Berlin", softLimitPct = 50, enabled = false, mode = "ELASTIC",
            onShortfall = "REFUSE", assumedMaxOutputTokens = 7, holdWaitMs = 7,
        });

        using var answer = await _node.Admin.SendAsync(HttpMethod.Put, BudgetsNode.UriOf(made), """{"name":"renamed","limitUsd":20,"period":"DAY"}""");

        var put = await answer.JsonAsync(HttpStatusCode.OK);
        Assert.Equal(
            $$"""
            {"id":"{{made.Text("id")}}","tenantId":"{{_node.Tenant.Id}}","apiKeyId":null,"tag":null,"model":null,"name":"renamed","period":"DAILY","limitUsd":20,"softLimitPct":80,"enabled":true,"mode":"STRICT","onShortfall":"CLAMP","assumedMaxOutputTokens":16384,"holdWaitMs":2000,"timeZone":"Europe/Berlin","provenance":"PLATFORM","createdAt":"{{made.Text("createdAt")}}","updatedAt":"{{put.Text("updatedAt")}}"}
            """,
            put.GetRawText());
        Assert.Equal(put.GetRawText(), await _node.Admin.GetStringAsync(BudgetsNode.UriOf(made)));
    }

    [Fact]
    public async Task Patch_Merges_AndNullTakesBack()
    {
        (string Patch, string Expected)[] table =
        [
            ("""{"name":"B"}""", """{"name":"B","limitUsd":10,"softLimitPct":70,"enabled":true,"holdWaitMs":5}"""),
            ("""{"limitUsd":0}""", """{"name":"cap","limitUsd":0,"softLimitPct":70,"enabled":true,"holdWaitMs":5}"""),
            ("""{"limit_usd":"0.000000000001"}""", """{"limitUsd":0.000000000001,"softLimitPct":70}"""),
            ("""{"softLimitPct":null}""", """{"name":"cap","limitUsd":10,"softLimitPct":null}"""),
            ("""{"softLimitPct":100,"enabled":false,"mode":"ELASTIC"}""", """{"softLimitPct":100,"enabled":false,"mode":"ELASTIC"}"""),
            ("""{"holdWaitMs":null}""", """{"softLimitPct":70,"holdWaitMs":2000}"""),
            ("{}", """{"name":"cap","limitUsd":10,"softLimitPct":70,"enabled":true,"holdWaitMs":5}"""),
        ];
        foreach (var (patch, expected) in table)
        {
            var made = await _node.MakeAsync(new { softLimitPct = 70, holdWaitMs = 5 });

            using var answer = await _node.Admin.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(made), patch);

            var patched = await answer.JsonAsync(HttpStatusCode.OK);
            Assert.All(JsonDocument.Parse(expected).RootElement.EnumerateObject(), member =>
                Assert.Equal((patch, member.Value.GetRawText()), (patch, patched.GetProperty(member.Name).GetRawText())));
            Assert.Equal(patched.GetRawText(), await _node.Admin.GetStringAsync(BudgetsNode.UriOf(made)));
        }
    }

    [Fact]
    public async Task Patch_WithoutASoftLimit_KeepsHavingNone()
    {
        var made = await _node.MakeAsync(new { softLimitPct = (int?)null });

        using var answer = await _node.Admin.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(made), """{"name":"renamed"}""");

        Assert.Equal(JsonValueKind.Null, (await answer.JsonAsync(HttpStatusCode.OK)).GetProperty("softLimitPct").ValueKind);
    }

    [Theory]
    [InlineData("PUT", """{"name":"late","limitUsd":1}""")]
    [InlineData("PATCH", """{"name":"late"}""")]
    [InlineData("DELETE", null)]
    public async Task Edit_FromAStaleState_Is412AndChangesNothing(string method, string? body)
    {
        // The clock stands still: the tags must differ all the same.
        var made = await _node.MakeAsync();
        var uri = BudgetsNode.UriOf(made);
        using var read = await _node.Admin.GetAsync(uri);
        var stale = read.Headers.ETag!.Tag;
        using var first = await _node.Admin.SendAsync(HttpMethod.Patch, uri, """{"name":"B"}""", stale);
        await first.JsonAsync(HttpStatusCode.OK);

        using var late = await _node.Admin.SendAsync(new HttpMethod(method), uri, body, stale);
        var unchanged = await _node.Admin.GetFromJsonAsync<JsonElement>(uri);
        using var current = await _node.Admin.SendAsync(new HttpMethod(method), uri, body, first.Headers.ETag!.Tag);
        using var wrong = await _node.Admin.SendAsync(new HttpMethod(method), uri, body, "no-tag");

        Assert.Equal("precondition_failed", await late.CodeAsync(HttpStatusCode.PreconditionFailed));
        Assert.Equal("B", unchanged.Text("name"));
        Assert.True(current.IsSuccessStatusCode);
        Assert.Equal(["If-Match"], await wrong.BadFieldsAsync());
    }

    [Fact]
    public async Task Edits_FromOneStateAtOnce_LeaveExactlyOneWinner()
    {
        var made = await _node.MakeAsync();
        using var read = await _node.Admin.GetAsync(BudgetsNode.UriOf(made));

        var statuses = await Task.WhenAll(Enumerable.Range(0, 8).Select(async i =>
        {
            using var answer = await _node.Admin.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(made), $$"""{"limitUsd":{{i}}}""", read.Headers.ETag!.Tag);
            return answer.StatusCode;
        }));

        Assert.Single(statuses, HttpStatusCode.OK);
        Assert.Equal(7, statuses.Count(status => status == HttpStatusCode.PreconditionFailed));
    }

    [Fact]
    public async Task Delete_TakesTheBudgetAway_AndItsEventsKeepItsName()
    {
        var made = await _node.MakeAsync(new { tenantId = _node.Tenant.Id, name = "gone" });
        var uri = BudgetsNode.UriOf(made);
        _node.Clock.Advance(TimeSpan.FromMilliseconds(1));

        using var deleted = await _node.Admin.DeleteAsync(uri);
        using var again = await _node.Admin.DeleteAsync(uri);
        using var read = await _node.Admin.GetAsync(uri);
        using var usage = await _node.Admin.GetAsync(uri + "/usage");
        using var put = await _node.Admin.SendAsync(HttpMethod.Put, uri, """{"name":"back","limitUsd":1}""");
        using var patch = await _node.Admin.SendAsync(HttpMethod.Patch, uri, """{"name":"back"}""");

        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        foreach (var answer in new[] { again, read, usage, put, patch })
        {
            Assert.Equal("not_found", await answer.CodeAsync(HttpStatusCode.NotFound));
        }

        Assert.Empty(await _node.NamesAsync(""));
        var events = await _node.EventsAsync();
        Assert.Equal(["BUDGET_CREATED", "BUDGET_DELETED"], events.Select(e => e.Text("type")));
        Assert.Equal("gone", events[1].GetProperty("payload").Text("name"));
    }

    [Fact]
    public async Task Write_LeavesAnEvent_RaisesTheGeneration_AndIsAnnounced()
    {
        var heard = new List<string>();
        _node.Environment.Services.GetRequiredService<ChangeFeed>().Subscribe(CapStore.ChangeTopic, (subject, _) =>
        {
            lock (heard)
            {
                heard.Add(subject);
            }

            return Task.CompletedTask;
        });

        var made = await _node.MakeAsync(new { tenantId = _node.Tenant.Id });
        Assert.Equal(2, await GenerationAsync());
        _node.Clock.Advance(TimeSpan.FromMilliseconds(1));
        using var patched = await _node.Admin.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(made), """{"limitUsd":5,"name":"B"}""");
        Assert.Equal(3, await GenerationAsync());
        using var same = await _node.Admin.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(made), """{"limitUsd":5.0}""");
        using var refused = await _node.Admin.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(made), """{"limitUsd":-5}""");
        Assert.Equal(3, await GenerationAsync());
        _node.Clock.Advance(TimeSpan.FromMilliseconds(1));
        using var deleted = await _node.Admin.DeleteAsync(BudgetsNode.UriOf(made));
        Assert.Equal(4, await GenerationAsync());

        lock (heard)
        {
            Assert.Equal(Enumerable.Repeat(made.Text("id"), 3), heard);
        }

        var events = await _node.EventsAsync();
        Assert.Equal(["BUDGET_CREATED", "BUDGET_UPDATED", "BUDGET_DELETED"], events.Select(e => e.Text("type")));
        Assert.All(events, e => Assert.Equal(_node.Tenant.Id, e.Text("tenantId")));
        var payload = events[1].GetProperty("payload");
        Assert.Equal((made.Text("id"), "B", "5"), (payload.Text("budgetId"), payload.Text("name"), payload.GetProperty("limitUsd").GetRawText()));
        Assert.Equal("""["name","limitUsd"]""", payload.GetProperty("changed").GetRawText());
        Assert.Equal(patched.Headers.GetValues("x-request-id").Single(), events[1].Text("requestId"));
    }

    [Fact]
    public async Task Budgets_PageByPage_AreEachListedOnceNewestFirst()
    {
        for (var i = 0; i < 5; i++)
        {
            _node.Clock.Advance(TimeSpan.FromMilliseconds(1));
            await _node.MakeAsync(new { name = $"b{i}" });
        }

        var names = new List<string>();
        string? cursor = null;
        do
        {
            var page = await _node.Admin.GetFromJsonAsync<JsonElement>($"{BudgetsNode.Path}?limit=2{(cursor is null ? "" : $"&cursor={cursor}")}");
            names.AddRange(page.GetProperty("items").EnumerateArray().Select(b => b.Text("name")!));
            cursor = page.Text("nextCursor");
        }
        while (cursor is not null);

        Assert.Equal(["b4", "b3", "b2", "b1", "b0"], names);
    }

    [Fact]
    public async Task Filter_ShowsOnlyWhatMatches()
    {
        await _node.MakeAsync(new { name = "fleet" });
        await _node.MakeAsync(new { name = "tenant", tenantId = _node.Tenant.Id, period = "DAILY" });
        await _node.MakeAsync(new { name = "key", apiKeyId = _node.Tenant.KeyId, enabled = false });
        var (_, successor) = await _node.Tenant.RotateAsync();

        (string Query, string Names)[] table =
        [
            ("", "fleet,key,tenant"),
            ($"tenantId={_node.Tenant.Id}", "key,tenant"),
            ($"tenant_id={_node.Tenant.Id}&enabled=true", "tenant"),
            ($"apiKeyId={_node.Tenant.KeyId}", "key"),
            ($"apiKeyId={successor}", "key"),
            ($"apiKeyId={Guid.CreateVersion7()}", ""),
            ("enabled=false", "key"),
            ("enabled=true", "fleet,tenant"),
            ("period=day", "tenant"),
            ("period=MONTHLY", "fleet,key"),
            ("name=fleet", "fleet"),
            ("name=flee", ""),
            ($"tenantId={Guid.CreateVersion7()}", ""),
        ];
        foreach (var (query, names) in table)
        {
            Assert.Equal((query, names), (query, string.Join(',', (await _node.NamesAsync(query)).Order(StringComparer.Ordinal))));
        }
    }

    [Fact]
    public async Task NarrowedToken_MakesItsTenantsBudgets_AndOnlyReadsThePlatforms()
    {
        using var narrowed = await _node.NarrowedAsync();
        var platforms = await _node.MakeAsync(new { name = "platform's", tenantId = _node.Tenant.Id, limitUsd = 100 });

        var own = await _node.MakeAsync(new { name = "own", model = "gpt*" }, narrowed);
        using var renamed = await narrowed.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(own), """{"name":"renamed"}""");
        using var read = await narrowed.GetAsync(BudgetsNode.UriOf(platforms));
        using var usage = await narrowed.GetAsync(BudgetsNode.UriOf(platforms) + "/usage");
        using var patch = await narrowed.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(platforms), """{"limitUsd":1000}""");
        using var put = await narrowed.SendAsync(HttpMethod.Put, BudgetsNode.UriOf(platforms), """{"name":"x","limitUsd":1000}""");
        using var delete = await narrowed.DeleteAsync(BudgetsNode.UriOf(platforms));

        Assert.Equal((_node.Tenant.Id, "TENANT"), (own.Text("tenantId"), own.Text("provenance")));
        Assert.Equal("renamed", (await renamed.JsonAsync(HttpStatusCode.OK)).Text("name"));
        Assert.Equal("PLATFORM", (await read.JsonAsync(HttpStatusCode.OK)).Text("provenance"));
        Assert.Equal(100, (await usage.JsonAsync(HttpStatusCode.OK)).GetProperty("limitUsd").GetDecimal());
        foreach (var answer in new[] { patch, put, delete })
        {
            Assert.Equal("missing_scope", await answer.CodeAsync(HttpStatusCode.Forbidden));
        }

        Assert.Equal(["platform's", "renamed"], (await _node.NamesAsync("", narrowed)).Order(StringComparer.Ordinal));
        using var byPlatform = await _node.Admin.DeleteAsync(BudgetsNode.UriOf(own));
        Assert.Equal(HttpStatusCode.NoContent, byPlatform.StatusCode);
    }

    [Fact]
    public async Task NarrowedToken_SeesNeitherForeignBudgetsNorThoseOfNoTenant()
    {
        using var other = await TestTenant.CreateAsync(_node.Environment);
        using var narrowed = await _node.NarrowedAsync();
        var hidden = new[] { await _node.MakeAsync(), await _node.MakeAsync(new { tenantId = other.Id }) };
        using var unknown = await narrowed.GetAsync($"{BudgetsNode.Path}/{Guid.CreateVersion7()}");
        var message = (await unknown.JsonAsync(HttpStatusCode.NotFound)).GetProperty("error").Text("message");

        foreach (var uri in hidden.Select(BudgetsNode.UriOf))
        {
            using var read = await narrowed.GetAsync(uri);
            using var usage = await narrowed.GetAsync(uri + "/usage");
            using var put = await narrowed.SendAsync(HttpMethod.Put, uri, """{"name":"x","limitUsd":1}""");
            using var patch = await narrowed.SendAsync(HttpMethod.Patch, uri, """{"name":"x"}""", ifMatch: "\"1\"");
            using var delete = await narrowed.DeleteAsync(uri);
            foreach (var answer in new[] { read, usage, put, patch, delete })
            {
                Assert.Equal(message, (await answer.JsonAsync(HttpStatusCode.NotFound)).GetProperty("error").Text("message"));
            }
        }

        Assert.Empty(await _node.NamesAsync("", narrowed));
        Assert.Empty(await _node.NamesAsync($"tenantId={other.Id}", narrowed));
    }

    [Fact]
    public async Task Viewer_Reads_ButDoesNotWrite()
    {
        var made = await _node.MakeAsync();
        using var viewer = await _node.Environment.ClientAsync(new { name = "v", role = "viewer" });

        Assert.Equal(["cap"], await _node.NamesAsync("", viewer));
        using var usage = await viewer.GetAsync(BudgetsNode.UriOf(made) + "/usage");
        Assert.Equal(HttpStatusCode.OK, usage.StatusCode);
        using var post = await viewer.PostAsJsonAsync(BudgetsNode.Path, BudgetsNode.Body());
        using var patch = await viewer.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(made), """{"limitUsd":1000}""");
        using var delete = await viewer.DeleteAsync(BudgetsNode.UriOf(made));
        foreach (var answer in new[] { post, patch, delete })
        {
            Assert.Equal("missing_scope", await answer.CodeAsync(HttpStatusCode.Forbidden));
        }
    }

    private Task<long> GenerationAsync() => _node.AskAsync(c => c.QuerySingleAsync<long>("SELECT value FROM cap_generation"));
}
