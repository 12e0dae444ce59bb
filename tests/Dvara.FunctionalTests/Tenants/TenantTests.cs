using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dvara.Domain;
using Dvara.Server.Storage;
using Dvara.Server.Tenants;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Tenants;

public sealed class TenantTests(SharedNode shared, TenantTests.StillNode still) : IClassFixture<SharedNode>, IClassFixture<TenantTests.StillNode>
{
    private readonly GatewayEnvironment _node = shared.Node;
    private readonly GatewayEnvironment _still = still.Node;

    [Fact]
    public async Task Tenant_WhenMade_IsReadAsItWasAnswered()
    {
        using var answer = await _still.Admin.SendAsync(HttpMethod.Post, TenantCalls.Path, """
            {"id":"01985a3e-0000-7000-8000-000000000000","name":"  Acme 🚀 Žluťoučký ‮kůň ","region":"eu-central",
             "metadata":{"cost.unpriced-policy":"block","crm_id":"A_1"},"tags":{"cost_center":"R&D <1>","team":""}}
            """);

        var made = await answer.JsonAsync(HttpStatusCode.Created);
        var id = Guid.Parse(made.Text("id")!);
        Assert.NotEqual(Guid.Parse("01985a3e-0000-7000-8000-000000000000"), id);
        Assert.Equal(7, id.Version);
        Assert.Equal(made.Uri(), answer.Headers.Location!.ToString());
        Assert.Equal("Acme 🚀 Žluťoučký ‮kůň", made.Text("name"));
        Assert.Equal("ACTIVE", made.Text("status"));
        Assert.Equal("eu-central", made.Text("region"));
        Assert.Equal("""{"cost.unpriced-policy":"block","crm_id":"A_1"}""", made.GetProperty("metadata").GetRawText());
        Assert.Equal("""{"cost_center":"R&D <1>","team":""}""", made.GetProperty("tags").GetRawText());
        Assert.Equal("2026-04-01T00:00:00.001Z", made.Text("createdAt"));
        Assert.Equal(made.Text("createdAt"), made.Text("updatedAt"));
        Assert.Equal(
            ["id", "name", "status", "region", "metadata", "tags", "createdAt", "updatedAt"], made.EnumerateObject().Select(m => m.Name));

        using var read = await _still.Admin.GetAsync(made.Uri());
        Assert.Equal(made.GetRawText(), (await read.JsonAsync(HttpStatusCode.OK)).GetRawText());
        Assert.Equal(answer.Headers.ETag, read.Headers.ETag);
        Assert.NotNull(read.Headers.ETag);
    }

    [Fact]
    public async Task Tenant_WithANameAlone_HasEmptyMapsAndNoRegion()
    {
        var made = await _node.MakeTenantAsync(new { name = "Acme" });
        var same = await _node.MakeTenantAsync(new { name = "Acme" });

        Assert.Equal(JsonValueKind.Null, made.GetProperty("region").ValueKind);
        Assert.Equal("{}", made.GetProperty("metadata").GetRawText());
        Assert.Equal("{}", made.GetProperty("tags").GetRawText());
        Assert.NotEqual(made.Text("id"), same.Text("id"));
    }

    [Fact]
    public async Task Post_RepeatedWithItsIdempotencyKey_MakesOneTenant()
    {
        var ids = new List<string?>();
        for (var i = 0; i < 2; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, TenantCalls.Path) { Content = JsonContent.Create(new { name = "Repeated" }) };
            request.Headers.Add("Idempotency-Key", "k-1");
            using var answer = await _node.Admin.SendAsync(request);
            ids.Add((await answer.JsonAsync(HttpStatusCode.Created)).Text("id"));
        }

        Assert.Equal(ids[0], ids[1]);
        Assert.Equal(["Repeated"], await _node.Admin.NamesAsync("name=Repeated"));
    }

    [Fact]
    public async Task Put_Replaces_ButAMissingStatusStays()
    {
        var made = await _node.MakeTenantAsync(
            new { name = "Acme", status = "SUSPENDED", region = "eu", metadata = new { a = "1" }, tags = new { team = "x" } });

        using var answer = await _node.Admin.SendAsync(HttpMethod.Put, made.Uri(), """{"name":"Acme Ltd","tags":{"team":"y"}}""");

        var put = await answer.JsonAsync(HttpStatusCode.OK);
        Assert.Equal("Acme Ltd", put.Text("name"));
        Assert.Equal("SUSPENDED", put.Text("status"));
        Assert.Null(put.Text("region"));
        Assert.Equal("{}", put.GetProperty("metadata").GetRawText());
        Assert.Equal("""{"team":"y"}""", put.GetProperty("tags").GetRawText());
        Assert.Equal(made.Text("createdAt"), put.Text("createdAt"));
        Assert.Equal(put.GetRawText(), await _node.Admin.GetStringAsync(made.Uri()));
    }

    [Fact]
    public async Task Put_OfWhatWasRead_ChangesNothing()
    {
        var made = await _node.MakeTenantAsync(new { name = "Acme", metadata = new { a = "1", b = "2" } });
        using var read = await _node.Admin.GetAsync(made.Uri());

        using var answer = await _node.Admin.SendAsync(HttpMethod.Put, made.Uri(), await read.Content.ReadAsStringAsync());

        Assert.Equal(made.GetRawText(), (await answer.JsonAsync(HttpStatusCode.OK)).GetRawText());
        Assert.Equal(read.Headers.ETag, answer.Headers.ETag);
        Assert.Single(await _node.EventsAsync(made));
    }

    [Theory]
    [InlineData("""{"name":"B"}""", """{"name":"B","status":"ACTIVE","region":"eu","metadata":{"a":"1","b":"2"},"tags":{"team":"x"}}""")]
    [InlineData("""{"region":null}""", """{"name":"A","status":"ACTIVE","region":null,"metadata":{"a":"1","b":"2"},"tags":{"team":"x"}}""")]
    [InlineData("""{"metadata":{"a":null,"c":"3","zz":null}}""",
        """{"name":"A","status":"ACTIVE","region":"eu","metadata":{"b":"2","c":"3"},"tags":{"team":"x"}}""")]
    [InlineData("""{"metadata":null,"tags":{}}""", """{"name":"A","status":"ACTIVE","region":"eu","metadata":{},"tags":{"team":"x"}}""")]
    [InlineData("""{"tags":{"team":null,"TEAM":"y"}}""",
        """{"name":"A","status":"ACTIVE","region":"eu","metadata":{"a":"1","b":"2"},"tags":{"TEAM":"y"}}""")]
    [InlineData("""{"status":"SUSPENDED"}""",
        """{"name":"A","status":"SUSPENDED","region":"eu","metadata":{"a":"1","b":"2"},"tags":{"team":"x"}}""")]
    [InlineData("{}", """{"name":"A","status":"ACTIVE","region":"eu","metadata":{"a":"1","b":"2"},"tags":{"team":"x"}}""")]
    public async Task Patch_Merges_AndNullRemoves(string patch, string expected)
    {
        var made = await _node.MakeTenantAsync(new { name = "A", region = "eu", metadata = new { a = "1", b = "2" }, tags = new { team = "x" } });

        using var answer = await _node.Admin.SendAsync(HttpMethod.Patch, made.Uri(), patch);

        var patched = await answer.JsonAsync(HttpStatusCode.OK);
        var wanted = JsonDocument.Parse(expected).RootElement;
        Assert.All(wanted.EnumerateObject(), member =>
            Assert.Equal(member.Value.GetRawText(), patched.GetProperty(member.Name).GetRawText()));
        Assert.Equal(patched.GetRawText(), await _node.Admin.GetStringAsync(made.Uri()));
    }

    [Theory]
    [InlineData("""{"name":null}""", "name")]
    [InlineData("""{"metadata":{"cost.unpriced-policy":"perhaps"}}""", "metadata.cost.unpriced-policy")]
    [InlineData("""{"metadata":{"a":{"b":"c"}}}""", "metadata.a")]
    [InlineData("""{"tags":{"TEAM":"y"}}""", "tags.TEAM")]
    [InlineData("""{"tags":["team"]}""", "tags")]
    [InlineData("""{"nmae":"B"}""", "nmae")]
    public async Task Patch_ThatMakesAWrongTenant_Is400AndChangesNothing(string patch, string field)
    {
        var made = await _node.MakeTenantAsync(new { name = "A", tags = new { team = "x" } });

        using var answer = await _node.Admin.SendAsync(HttpMethod.Patch, made.Uri(), patch);

        Assert.Equal([field], await answer.BadFieldsAsync());
        Assert.Equal(made.GetRawText(), await _node.Admin.GetStringAsync(made.Uri()));
    }

    [Theory]
    [InlineData("PUT", """{"name":"late"}""")]
    [InlineData("PATCH", """{"name":"late"}""")]
    [InlineData("DELETE", null)]
    public async Task Edit_FromAStaleState_Is412AndChangesNothing(string method, string? body)
    {
        // The clock stands still: the tags must differ all the same.
        var made = await _still.MakeTenantAsync(new { name = "A" });
        using var read = await _still.Admin.GetAsync(made.Uri());
        var stale = read.Headers.ETag!.Tag;
        using var first = await _still.Admin.SendAsync(HttpMethod.Patch, made.Uri(), """{"name":"B"}""", stale);
        await first.JsonAsync(HttpStatusCode.OK);

        using var late = await _still.Admin.SendAsync(new HttpMethod(method), made.Uri(), body, stale);
        var unchanged = await _still.Admin.GetFromJsonAsync<JsonElement>(made.Uri());
        using var current = await _still.Admin.SendAsync(new HttpMethod(method), made.Uri(), body, first.Headers.ETag!.Tag);
        using var wrong = await _still.Admin.SendAsync(new HttpMethod(method), made.Uri(), body, "no-tag");

        Assert.Equal("precondition_failed", await late.CodeAsync(HttpStatusCode.PreconditionFailed));
        Assert.Equal("B", unchanged.Text("name"));
        Assert.Equal("ACTIVE", unchanged.Text("status"));
        Assert.True(current.IsSuccessStatusCode);
        Assert.Equal(["If-Match"], await wrong.BadFieldsAsync());
    }

    [Fact]
    public async Task Edits_FromOneStateAtOnce_LeaveExactlyOneWinner()
    {
        var made = await _node.MakeTenantAsync(new { name = "A" });
        using var read = await _node.Admin.GetAsync(made.Uri());

        var statuses = await Task.WhenAll(Enumerable.Range(0, 16).Select(async i =>
        {
            using var answer = await _node.Admin.SendAsync(
                HttpMethod.Patch, made.Uri(), $$"""{"metadata":{"writer":"{{i}}"} }""", read.Headers.ETag!.Tag);
            return answer.StatusCode;
        }));

        Assert.Single(statuses, HttpStatusCode.OK);
        Assert.Equal(15, statuses.Count(s => s == HttpStatusCode.PreconditionFailed));
    }

    [Fact]
    public async Task Delete_Closes_AndClosedStaysClosedAndReadable()
    {
        var made = await _node.MakeTenantAsync(new { name = "A" });

        using var closed = await _node.Admin.DeleteAsync(made.Uri());
        using var again = await _node.Admin.DeleteAsync(made.Uri());
        using var opened = await _node.Admin.SendAsync(HttpMethod.Patch, made.Uri(), """{"status":"ACTIVE"}""");
        using var suspended = await _node.Admin.SendAsync(HttpMethod.Put, made.Uri(), """{"name":"A","status":"SUSPENDED"}""");
        using var renamed = await _node.Admin.SendAsync(HttpMethod.Put, made.Uri(), """{"name":"A (closed)"}""");

        Assert.Equal(HttpStatusCode.NoContent, closed.StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, again.StatusCode);
        Assert.Equal("conflict", await opened.CodeAsync(HttpStatusCode.Conflict));
        Assert.Equal("conflict", await suspended.CodeAsync(HttpStatusCode.Conflict));
        Assert.Equal("CLOSED", (await renamed.JsonAsync(HttpStatusCode.OK)).Text("status"));
        Assert.Equal("A (closed)", (await _node.Admin.GetFromJsonAsync<JsonElement>(made.Uri())).Text("name"));
        Assert.Equal(["A (closed)"], await _node.Admin.NamesAsync("name=A%20(closed)&status=CLOSED"));
        Assert.Equal(
            ["TENANT_CREATED", "TENANT_CLOSED", "TENANT_UPDATED"], (await _node.EventsAsync(made)).Select(e => e.Text("type")));
    }

    [Fact]
    public async Task Patch_ToClosed_IsTheSameAsDelete()
    {
        var made = await _node.MakeTenantAsync(new { name = "A", status = "SUSPENDED" });

        using var answer = await _node.Admin.SendAsync(HttpMethod.Patch, made.Uri(), """{"status":"CLOSED"}""");

        Assert.Equal("CLOSED", (await answer.JsonAsync(HttpStatusCode.OK)).Text("status"));
        Assert.Equal("TENANT_CLOSED", (await _node.EventsAsync(made))[^1].Text("type"));
    }

    [Fact]
    public async Task Write_LeavesAnEvent_AndAChangeForCaches()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        var heard = new List<string>();
        node.Services.GetRequiredService<ChangeFeed>().Subscribe(TenantDirectory.ChangeTopic, (subject, _) =>
        {
            lock (heard)
            {
                heard.Add(subject);
            }

            return Task.CompletedTask;
        });

        var made = await node.MakeTenantAsync(new { name = "A", tags = new { team = "x" } });
        Assert.Equal([made.Text("id")], Heard());
        using var patched = await node.Admin.SendAsync(HttpMethod.Patch, made.Uri(), """{"status":"SUSPENDED","name":"B"}""");
        Assert.Equal(2, Heard().Length);
        using var refused = await node.Admin.SendAsync(HttpMethod.Patch, made.Uri(), """{"name":""}""");
        using var closed = await node.Admin.DeleteAsync(made.Uri());

        Assert.Equal(Enumerable.Repeat(made.Text("id"), 3), Heard());
        var events = await node.EventsAsync(made);
        Assert.Equal(["TENANT_CREATED", "TENANT_UPDATED", "TENANT_CLOSED"], events.Select(e => e.Text("type")));
        var payload = events[1].GetProperty("payload");
        Assert.Equal("B", payload.Text("name"));
        Assert.Equal("x", payload.GetProperty("tags").Text("team"));
        Assert.Equal("""["name","status"]""", payload.GetProperty("changed").GetRawText());
        Assert.Equal(patched.Headers.GetValues("x-request-id").Single(), events[1].Text("requestId"));

        string[] Heard()
        {
            lock (heard)
            {
                return [.. heard];
            }
        }
    }

    [Fact]
    public async Task Directory_KnowsNames_OfClosedTenantsToo()
    {
        var made = await _node.MakeTenantAsync(new { name = "A" });
        using var _ = await _node.Admin.DeleteAsync(made.Uri());
        var directory = _node.Services.GetRequiredService<TenantDirectory>();

        Assert.Equal("A", await directory.NameAsync(new TenantId(Guid.Parse(made.Text("id")!)), TestContext.Current.CancellationToken));
        Assert.Null(await directory.NameAsync(new TenantId(Guid.CreateVersion7()), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Tenant_AfterARestart_IsStillThere()
    {
        var folder = Directory.CreateTempSubdirectory("dvara-test-").FullName;
        try
        {
            JsonElement made;
            await using (var first = await GatewayEnvironment.StartAsync(dataDirectory: folder))
            {
                made = await first.MakeTenantAsync(new { name = "A", metadata = new { a = "1" } });
            }

            await using var second = await GatewayEnvironment.StartAsync(dataDirectory: folder);
            Assert.Equal(made.GetRawText(), await second.Admin.GetStringAsync(made.Uri()));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>A node whose clock stands still.</summary>
    public sealed class StillNode() : SharedNode(new FakeTimeProvider(new DateTimeOffset(2026, 4, 1, 0, 0, 0, TimeSpan.Zero).AddTicks(12_345)));
}
