using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Dvara.Domain;
using Dvara.Server.ApiKeys;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.ApiKeys;

public sealed class ApiKeyRoutesTests(SharedNode shared) : IClassFixture<SharedNode>
{
    private static readonly DateTimeOffset Start = new(2026, 4, 1, 12, 0, 0, TimeSpan.Zero);

    private static readonly string[] Members =
        ["createdAt", "expiresAt", "id", "lastUsedAt", "models", "name", "prefix", "scopes", "status", "tags", "tenantId"];

    [Fact]
    public async Task Create_Answers201WithTheKeyOnceAndEveryField()
    {
        await using var node = await GatewayEnvironment.StartAsync(clock: new StepClock(Start));
        var keys = await TenantKeys.CreateAsync(node);

        using var answer = await keys.SendAsync(HttpMethod.Post, keys.Path(""), new
        {
            id = "11111111-1111-1111-1111-111111111111",
            name = "support-bot",
            scopes = new[] { "models:read", "completions:write", "models:read" },
            models = new[] { "gpt-4o*", "claude-sonnet-4-5" },
            tags = new Dictionary<string, string> { ["cost_centre"] = "=4711" },
            expires_at = "2026-05-01T00:00:00Z",
        });

        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        Assert.Equal("no-store", answer.Headers.CacheControl!.ToString());
        var made = JsonElement.Parse(await answer.Content.ReadAsStringAsync());
        Assert.Equal([.. Members.Append("key").Order(StringComparer.Ordinal)], made.EnumerateObject().Select(m => m.Name).Order(StringComparer.Ordinal));
        Assert.NotEqual("11111111-1111-1111-1111-111111111111", made.Text("id"));
        Assert.True(ApiKeyFormat.IsWellFormed(made.Text("key")));
        Assert.Equal(made.Text("key")[..11], made.Text("prefix"));
        Assert.Equal(keys.Path($"/{made.Text("id")}"), answer.Headers.Location!.ToString());

        var read = await keys.GetAsync($"/{made.Text("id")}");
        Assert.Equal(Members, read.EnumerateObject().Select(m => m.Name).Order(StringComparer.Ordinal));
        Assert.Equal("ACTIVE", read.Text("status"));
        Assert.Equal(keys.Tenant, read.Text("tenantId"));
        Assert.Equal(["completions:write", "models:read"], read.GetProperty("scopes").EnumerateArray().Select(s => s.GetString()));
        Assert.Equal(["gpt-4o*", "claude-sonnet-4-5"], read.GetProperty("models").EnumerateArray().Select(s => s.GetString()));
        Assert.Equal("=4711", read.GetProperty("tags").Text("cost_centre"));
        Assert.Equal("2026-05-01T00:00:00Z", read.Text("expiresAt"));
        Assert.Equal("2026-04-01T12:00:00Z", read.Text("createdAt"));
        Assert.Equal(JsonValueKind.Null, read.GetProperty("lastUsedAt").ValueKind);
    }

    [Fact]
    public async Task Key_OnceShown_StandsNowhere()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        var keys = await TenantKeys.CreateAsync(node);
        keys.Admin.DefaultRequestHeaders.Add("Idempotency-Key", "once");
        var made = await keys.NewKeyAsync(new { name = "support-bot" });
        var replayed = await keys.NewKeyAsync(new { name = "support-bot" });
        keys.Admin.DefaultRequestHeaders.Remove("Idempotency-Key");
        keys.Admin.DefaultRequestHeaders.Add("Idempotency-Key", "twice");
        var rotated = await keys.PostAsync($"/{made.Text("id")}/rotate", new { overlapSeconds = 60 }, HttpStatusCode.Created);
        await keys.Cache.FindAsync(made.Text("key"), CancellationToken.None);

        Assert.True(replayed.GetProperty("replayed").GetBoolean());
        Assert.False(replayed.TryGetProperty("key", out _));
        Assert.Equal(made.Text("id"), replayed.Text("id"));
        var stored = await keys.StoredAsync();
        Assert.Contains(made.Text("prefix"), stored, StringComparison.Ordinal);
        // A dozen characters behind the prefix: neither key stands there, whole or cut.
        Assert.DoesNotContain(made.Text("key")[3..24], stored, StringComparison.Ordinal);
        Assert.DoesNotContain(rotated.Text("key")[3..24], stored, StringComparison.Ordinal);
    }

    [Fact]
    public async Task List_PagesNewestFirst_AndLeavesOutDeleted()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var ids = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            ids.Add((await keys.NewKeyAsync(new { name = $"key {i}" })).Text("id"));
        }

        await keys.AnswerAsync(HttpMethod.Delete, keys.Path($"/{ids[2]}"), null, HttpStatusCode.NoContent);
        await keys.PostAsync($"/{ids[3]}/revoke", null, HttpStatusCode.OK);

        var seen = new List<string>();
        var cursor = "";
        do
        {
            var page = await keys.GetAsync($"?limit=2{cursor}");
            seen.AddRange(page.GetProperty("items").EnumerateArray().Select(key => key.Text("id")));
            cursor = page.GetProperty("nextCursor").GetString() is { } next ? $"&cursor={next}" : null;
        }
        while (cursor is not null);

        Assert.Equal([ids[4], ids[3], ids[1], ids[0]], seen);
        await keys.RefusedAsync(HttpMethod.Get, keys.Path($"/{ids[2]}"), null, HttpStatusCode.NotFound, "not_found");
        await keys.RefusedAsync(HttpMethod.Delete, keys.Path($"/{ids[2]}"), null, HttpStatusCode.NotFound, "not_found");
        var names = await keys.Service<ApiKeyNames>().NamesAsync(new TenantId(Guid.Parse(keys.Tenant)), CancellationToken.None);
        Assert.Equal("key 2", names[new ApiKeyId(Guid.Parse(ids[2]))]);
        Assert.Equal(5, names.Count);
    }

    [Fact]
    public async Task List_WithAForeignCursorOrUnknownParameter_Is400()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var other = await keys.NewTenantAsync("Other");
        foreach (var name in new[] { "a", "b" })
        {
            await keys.NewKeyAsync(new { name });
            await keys.NewKeyAsync(new { name }, other);
        }

        var page = await keys.AnswerAsync(HttpMethod.Get, keys.Path("?limit=1", other), null, HttpStatusCode.OK);

        await keys.RefusedAsync(
            HttpMethod.Get, keys.Path($"?cursor={page.Text("nextCursor")}"), null, HttpStatusCode.BadRequest, "validation_error");
        await keys.RefusedAsync(HttpMethod.Get, keys.Path("?limit=0"), null, HttpStatusCode.BadRequest, "validation_error");
        await keys.RefusedAsync(HttpMethod.Get, keys.Path("?sort=name"), null, HttpStatusCode.BadRequest, "validation_error");
    }

    [Fact]
    public async Task Name_OfAnActiveKey_IsTakenUntilItEnds()
    {
        var clock = new StepClock(Start);
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        var keys = await TenantKeys.CreateAsync(node);
        var first = await keys.NewKeyAsync(new { name = "bot" });
        var other = await keys.NewKeyAsync(new { name = "other" });
        await keys.NewKeyAsync(new { name = "bot" }, await keys.NewTenantAsync("Other"));

        await keys.RefusedAsync(HttpMethod.Post, keys.Path(""), new { name = "bot" }, HttpStatusCode.Conflict, "conflict");
        await keys.RefusedAsync(HttpMethod.Patch, keys.Path($"/{other.Text("id")}"), new { name = "bot" }, HttpStatusCode.Conflict, "conflict");
        await keys.PostAsync($"/{first.Text("id")}/revoke", null, HttpStatusCode.OK);
        var second = await keys.NewKeyAsync(new { name = "bot", expiresAt = Start.AddHours(1) });
        clock.SetUtcNow(Start.AddHours(1).AddMilliseconds(-1));
        await keys.RefusedAsync(HttpMethod.Post, keys.Path(""), new { name = "bot" }, HttpStatusCode.Conflict, "conflict");
        clock.SetUtcNow(Start.AddHours(1));
        Assert.Equal("EXPIRED", (await keys.GetAsync($"/{second.Text("id")}")).Text("status"));
        await keys.NewKeyAsync(new { name = "bot" });

        Assert.Equal("EXPIRED", (await keys.GetAsync($"/{second.Text("id")}")).Text("status"));
        await keys.RefusedAsync(
            HttpMethod.Patch, keys.Path($"/{second.Text("id")}"), new { expiresAt = Start.AddDays(9) }, HttpStatusCode.Conflict, "conflict");
    }

    [Fact]
    public async Task Patch_ChangesWhatItNames_AndNothingElse()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var made = await keys.NewKeyAsync(new
        {
            name = "bot",
            scopes = new[] { "models:read" },
            models = new[] { "gpt-4o" },
            tags = new { team = "a", site = "b" },
            expiresAt = "2999-01-01T00:00:00Z",
        });

        var edited = await keys.AnswerAsync(
            HttpMethod.Patch, keys.Path($"/{made.Text("id")}"), """{"tags":{"team":null,"env":"prod"},"models":["*"],"expires_at":null}""", HttpStatusCode.OK);

        Assert.Equal("bot", edited.Text("name"));
        Assert.Equal(["models:read"], edited.GetProperty("scopes").EnumerateArray().Select(s => s.GetString()));
        Assert.Equal(["*"], edited.GetProperty("models").EnumerateArray().Select(s => s.GetString()));
        Assert.Equal("""{"site":"b","env":"prod"}""", edited.GetProperty("tags").GetRawText());
        Assert.Equal(JsonValueKind.Null, edited.GetProperty("expiresAt").ValueKind);
        Assert.Equal(edited.GetRawText(), (await keys.GetAsync($"/{made.Text("id")}")).GetRawText());
        Assert.Equal("prod", (await keys.Cache.FindAsync(made.Text("key"), CancellationToken.None))!.Tags["env"]);
        Assert.Single(await keys.AuditAsync("API_KEY_UPDATED"));
    }

    [Fact]
    public async Task Patch_WithWhatReadingAnswered_IsAccepted()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var made = await keys.NewKeyAsync(new { name = "bot" });
        var read = await keys.GetAsync($"/{made.Text("id")}");

        var edited = await keys.AnswerAsync(HttpMethod.Patch, keys.Path($"/{made.Text("id")}"), read.GetRawText(), HttpStatusCode.OK);

        Assert.Equal(read.GetRawText(), edited.GetRawText());
    }

    [Fact]
    public async Task Write_WithAStaleETag_Is412AndChangesNothing()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var made = await keys.NewKeyAsync(new { name = "bot" });
        var path = keys.Path($"/{made.Text("id")}");
        using var read = await keys.SendAsync(HttpMethod.Get, path, null);
        var before = read.Headers.ETag!.ToString();
        await keys.AnswerAsync(HttpMethod.Patch, path, new { name = "bot 2" }, HttpStatusCode.OK);

        using var client = await keys.NarrowedAsync(keys.Tenant, "keys:write");
        client.DefaultRequestHeaders.Add("If-Match", before);

        await keys.RefusedAsync(HttpMethod.Patch, path, new { name = "bot 3" }, HttpStatusCode.PreconditionFailed, "precondition_failed", client);
        await keys.RefusedAsync(HttpMethod.Post, path + "/revoke", null, HttpStatusCode.PreconditionFailed, "precondition_failed", client);
        await keys.RefusedAsync(HttpMethod.Post, path + "/rotate", null, HttpStatusCode.PreconditionFailed, "precondition_failed", client);
        await keys.RefusedAsync(HttpMethod.Delete, path, null, HttpStatusCode.PreconditionFailed, "precondition_failed", client);
        var now = await keys.GetAsync($"/{made.Text("id")}");
        Assert.Equal(("bot 2", "ACTIVE"), (now.Text("name"), now.Text("status")));
        client.DefaultRequestHeaders.Remove("If-Match");
        client.DefaultRequestHeaders.Add("If-Match", (await keys.SendAsync(HttpMethod.Get, path, null)).Headers.ETag!.ToString());
        await keys.AnswerAsync(HttpMethod.Delete, path, null, HttpStatusCode.NoContent, client);
    }

    [Fact]
    public async Task Revoke_Twice_IsOneRevocation()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var made = await keys.NewKeyAsync(new { name = "bot" });

        var first = await keys.PostAsync($"/{made.Text("id")}/revoke", null, HttpStatusCode.OK);
        var second = await keys.PostAsync($"/{made.Text("id")}/revoke", new { }, HttpStatusCode.OK);

        Assert.Equal("REVOKED", first.Text("status"));
        Assert.Equal(first.GetRawText(), second.GetRawText());
        var revoked = Assert.Single(await keys.AuditAsync("API_KEY_REVOKED"));
        Assert.Equal(made.Text("id"), revoked.GetProperty("payload").Text("id"));
        Assert.Equal(made.Text("id"), Assert.Single(await keys.AuditAsync("API_KEY_CREATED")).GetProperty("payload").Text("id"));
        await keys.RefusedAsync(HttpMethod.Patch, keys.Path($"/{made.Text("id")}"), new { name = "x" }, HttpStatusCode.Conflict, "conflict");
        await keys.RefusedAsync(HttpMethod.Post, keys.Path($"/{made.Text("id")}/rotate"), null, HttpStatusCode.Conflict, "conflict");
    }

    [Fact]
    public async Task Rotate_GivesANewKeyWithTheSameAttributes_AndTheOldOneWorksUntilTheOverlapEnds()
    {
        var clock = new StepClock(Start);
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        var keys = await TenantKeys.CreateAsync(node);
        var old = await keys.NewKeyAsync(new { name = "bot", scopes = new[] { "models:read" }, models = new[] { "gpt-4o" }, tags = new { team = "a" } });

        var made = await keys.PostAsync($"/{old.Text("id")}/rotate", new { overlapSeconds = 60 }, HttpStatusCode.Created);

        Assert.NotEqual(old.Text("id"), made.Text("id"));
        Assert.NotEqual(old.Text("key"), made.Text("key"));
        foreach (var same in new[] { "name", "scopes", "models", "tags", "expiresAt" })
        {
            Assert.Equal(old.GetProperty(same).GetRawText(), made.GetProperty(same).GetRawText());
        }

        var read = await keys.GetAsync($"/{old.Text("id")}");
        Assert.Equal(("ROTATED", "2026-04-01T12:01:00Z"), (read.Text("status"), read.Text("expiresAt")));
        Assert.Equal(ApiKeyStatus.Rotated, (await keys.Cache.FindAsync(old.Text("key"), CancellationToken.None))!.Status);
        Assert.Equal(ApiKeyStatus.Active, (await keys.Cache.FindAsync(made.Text("key"), CancellationToken.None))!.Status);
        clock.SetUtcNow(Start.AddSeconds(60).AddTicks(-1));
        Assert.Equal(ApiKeyStatus.Rotated, (await keys.Cache.FindAsync(old.Text("key"), CancellationToken.None))!.Status);
        clock.SetUtcNow(Start.AddSeconds(60));
        Assert.Equal(ApiKeyStatus.Expired, (await keys.Cache.FindAsync(old.Text("key"), CancellationToken.None))!.Status);
        var rotated = Assert.Single(await keys.AuditAsync("API_KEY_ROTATED")).GetProperty("payload");
        Assert.Equal((old.Text("id"), made.Text("id")), (rotated.Text("id"), rotated.Text("successorId")));
    }

    [Fact]
    public async Task Rotate_WithoutOverlap_EndsTheOldKeyAtOnce()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var old = await keys.NewKeyAsync(new { name = "bot" });
        Assert.Equal(ApiKeyStatus.Active, (await keys.Cache.FindAsync(old.Text("key"), CancellationToken.None))!.Status);

        await keys.PostAsync($"/{old.Text("id")}/rotate", new { overlapSeconds = 0 }, HttpStatusCode.Created);

        Assert.Equal(ApiKeyStatus.Expired, (await keys.Cache.FindAsync(old.Text("key"), CancellationToken.None))!.Status);
    }

    [Fact]
    public async Task Rotate_WithoutABody_OverlapsByADay()
    {
        await using var node = await GatewayEnvironment.StartAsync(clock: new StepClock(Start));
        var keys = await TenantKeys.CreateAsync(node);
        var old = await keys.NewKeyAsync(new { name = "bot" });

        await keys.PostAsync($"/{old.Text("id")}/rotate", null, HttpStatusCode.Created);

        Assert.Equal("2026-04-02T12:00:00Z", (await keys.GetAsync($"/{old.Text("id")}")).Text("expiresAt"));
    }

    [Fact]
    public async Task Import_OfAKeyMadeElsewhere_MakesItWorkAndShowsNoKey()
    {
        const string Key = "gw_0123456789abcdef0123456789abcdef01234567";
        var keys = await TenantKeys.CreateAsync(shared.Node);
        // Tried before it was imported: the cached "nobody's" must go.
        Assert.Null(await keys.Cache.FindAsync(Key, CancellationToken.None));
        var body = new { name = "old bot", sha256 = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(Key))), prefix = Key[..11] };

        var made = await keys.PostAsync("/import", body, HttpStatusCode.Created);

        Assert.False(made.TryGetProperty("key", out _));
        Assert.Equal("gw_01234567", made.Text("prefix"));
        Assert.Equal(made.Text("id"), (await keys.Cache.FindAsync(Key, CancellationToken.None))!.KeyId.ToString());
        Assert.Single(await keys.AuditAsync("API_KEY_IMPORTED"));
        await keys.RefusedAsync(HttpMethod.Post, keys.Path("/import"), body with { name = "again" }, HttpStatusCode.Conflict, "conflict");
        await keys.RefusedAsync(
            HttpMethod.Post, keys.Path("/import", await keys.NewTenantAsync("Other")), body, HttpStatusCode.Conflict, "conflict");
    }

    [Fact]
    public async Task Keys_OfAClosedTenant_AreReadableButNotMade()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var made = await keys.NewKeyAsync(new { name = "bot" });
        await keys.AnswerAsync(HttpMethod.Delete, $"/v1/admin/tenants/{keys.Tenant}", null, HttpStatusCode.NoContent);

        await keys.RefusedAsync(HttpMethod.Post, keys.Path(""), new { name = "new" }, HttpStatusCode.Conflict, "conflict");
        await keys.RefusedAsync(HttpMethod.Post, keys.Path($"/{made.Text("id")}/rotate"), null, HttpStatusCode.Conflict, "conflict");
        await keys.RefusedAsync(
            HttpMethod.Post, keys.Path("/import"), new { name = "i", sha256 = new string('a', 64), prefix = "gw_01234567" }, HttpStatusCode.Conflict, "conflict");
        Assert.Equal("ACTIVE", (await keys.GetAsync($"/{made.Text("id")}")).Text("status"));
        await keys.PostAsync($"/{made.Text("id")}/revoke", null, HttpStatusCode.OK);
    }

    [Fact]
    public async Task Keys_OfAForeignOrUnknownTenant_Are404()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var made = await keys.NewKeyAsync(new { name = "bot" });
        var other = await keys.NewTenantAsync("Other");
        using var narrowed = await keys.NarrowedAsync(other, "keys:read", "keys:write");
        var key = $"/{made.Text("id")}";

        foreach (var (client, tenant) in new[] { (narrowed, keys.Tenant), (keys.Admin, Guid.NewGuid().ToString()), (keys.Admin, "-1"), (keys.Admin, "x' OR '1'='1") })
        {
            var path = $"/v1/admin/tenants/{Uri.EscapeDataString(tenant)}/keys";
            await keys.RefusedAsync(HttpMethod.Get, path, null, HttpStatusCode.NotFound, "not_found", client);
            await keys.RefusedAsync(HttpMethod.Post, path, new { name = "bot" }, HttpStatusCode.NotFound, "not_found", client);
            await keys.RefusedAsync(HttpMethod.Get, path + key, null, HttpStatusCode.NotFound, "not_found", client);
            await keys.RefusedAsync(HttpMethod.Patch, path + key, new { name = "x" }, HttpStatusCode.NotFound, "not_found", client);
            await keys.RefusedAsync(HttpMethod.Delete, path + key, null, HttpStatusCode.NotFound, "not_found", client);
            await keys.RefusedAsync(HttpMethod.Post, path + key + "/revoke", null, HttpStatusCode.NotFound, "not_found", client);
            await keys.RefusedAsync(HttpMethod.Post, path + key + "/rotate", null, HttpStatusCode.NotFound, "not_found", client);
        }

        // The own tenant's path with another tenant's key.
        await keys.RefusedAsync(HttpMethod.Post, keys.Path(key + "/revoke", other), null, HttpStatusCode.NotFound, "not_found", narrowed);
        Assert.Equal("ACTIVE", (await keys.GetAsync(key)).Text("status"));
    }

    [Fact]
    public async Task Keys_WithoutTheScope_Are403()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        using var reader = await keys.NarrowedAsync(keys.Tenant, "keys:read");
        using var stranger = await keys.NarrowedAsync(keys.Tenant, "costs:read");

        await keys.AnswerAsync(HttpMethod.Get, keys.Path(""), null, HttpStatusCode.OK, reader);
        await keys.RefusedAsync(HttpMethod.Post, keys.Path(""), new { name = "bot" }, HttpStatusCode.Forbidden, "missing_scope", reader);
        await keys.RefusedAsync(HttpMethod.Get, keys.Path(""), null, HttpStatusCode.Forbidden, "missing_scope", stranger);
    }
}
