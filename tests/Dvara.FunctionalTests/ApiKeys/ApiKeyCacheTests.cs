using System.Net;
using Dvara.Server.ApiKeys;
using Dvara.Server.Storage;
using Dvara.Server.Tenants;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.ApiKeys;

/// <summary>Cache, grain and change feed of a real node, asked as the gateway asks.</summary>
public sealed class ApiKeyCacheTests
{
    private static readonly DateTimeOffset Start = new(2026, 4, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task Find_AKey_SaysEverythingTheDataPlaneMustKnow()
    {
        await using var node = await KeysNode.StartAsync();
        await node.PatchTenantAsync(new { tags = new { site = "berlin" }, metadata = new Dictionary<string, string> { ["cost.unpriced-policy"] = "block" } });
        var made = await node.NewKeyAsync(new
        {
            name = "bot", scopes = new[] { "models:read" }, models = new[] { "gpt-4o*" }, tags = new { team = "a" }, expiresAt = "2999-01-01T00:00:00Z",
        });

        var identity = await node.Cache.FindAsync(made.Text("key"), CancellationToken.None);

        Assert.NotNull(identity);
        Assert.Equal((made.Text("id"), node.Tenant), (identity.KeyId.ToString(), identity.TenantId.ToString()));
        Assert.Equal((ApiKeyStatus.Active, TenantStatus.Active), (identity.Status, identity.TenantStatus));
        Assert.Equal(["models:read"], identity.Scopes);
        Assert.Equal(["gpt-4o*"], identity.Models);
        Assert.Equal("a", identity.Tags["team"]);
        Assert.Equal("berlin", identity.TenantTags["site"]);
        Assert.Equal("block", identity.TenantMetadata["cost.unpriced-policy"]);
        Assert.Equal(DateTimeOffset.Parse("2999-01-01T00:00:00Z", null), identity.ExpiresAt);
    }

    [Fact]
    public async Task Find_AWarmKey_AllocatesNothing()
    {
        await using var node = await KeysNode.StartAsync(new StepClock(Start));
        var (cache, key) = (node.Cache, await node.NewKeyAsync("bot"));
        var known = await cache.FindAsync(key, CancellationToken.None);
        Assert.Equal(known, Find(cache, key));

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10_000; i++)
        {
            Find(cache, key);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public async Task Find_AMalformedKey_ReachesNeitherGrainNorDatabase()
    {
        await using var node = await KeysNode.StartAsync();
        var key = await node.NewKeyAsync("bot");
        await node.ExecuteAsync("ALTER TABLE api_keys RENAME TO away");

        foreach (var bad in new[] { key[..^1], key[..^1] + (key[^1] == 'a' ? 'b' : 'a'), key + "a", "", "gw_", "gw_é", new string('x', 1 << 20), "' OR '1'='1" })
        {
            Assert.Null(await node.Cache.FindAsync(bad, CancellationToken.None));
        }

        await Assert.ThrowsAsync<ApiKeysUnavailableException>(async () => await node.Cache.FindAsync(key, CancellationToken.None));
        await node.ExecuteAsync("ALTER TABLE away RENAME TO api_keys");
        Assert.NotNull(await node.Cache.FindAsync(key, CancellationToken.None));
    }

    [Fact]
    public async Task Find_AnUnknownKey_IsNullAndAskedForOnceInFiveSeconds()
    {
        var clock = new StepClock(Start);
        await using var node = await KeysNode.StartAsync(clock);
        var key = ApiKeyFormat.Make();
        Assert.Null(await node.Cache.FindAsync(key, CancellationToken.None));
        await node.ExecuteAsync("ALTER TABLE api_keys RENAME TO away");

        clock.Advance(TimeSpan.FromSeconds(5) - TimeSpan.FromTicks(1));
        Assert.Null(await node.Cache.FindAsync(key, CancellationToken.None));
        clock.Advance(TimeSpan.FromTicks(1));

        await Assert.ThrowsAsync<ApiKeysUnavailableException>(async () => await node.Cache.FindAsync(key, CancellationToken.None));
    }

    [Fact]
    public async Task Find_ManyUnknownKeys_StayBounded_AndKnownOnesStayWarm()
    {
        await using var node = await KeysNode.StartAsync();
        var key = await node.NewKeyAsync("bot");
        var known = await node.Cache.FindAsync(key, CancellationToken.None);

        for (var i = 0; i < ApiKeyCache.UnknownMax + 500; i++)
        {
            Assert.Null(await node.Cache.FindAsync(ApiKeyFormat.Make(), CancellationToken.None));
        }

        Assert.InRange(node.Cache.Count, 2, ApiKeyCache.UnknownMax + 1);
        Assert.Same(known, Find(node.Cache, key));
    }

    [Fact]
    public async Task Revoke_UnderParallelLookUps_IsSeenByTheNextOne_AndTheSiblingNeverFails()
    {
        await using var node = await KeysNode.StartAsync();
        var sibling = await node.NewKeyAsync("sibling");
        using var stop = new CancellationTokenSource();
        var warm = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var callers = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            var calls = 0;
            while (!stop.IsCancellationRequested)
            {
                // A warm answer comes without waiting: without this the callers would keep the silo's own threads out.
                await Task.Yield();
                var identity = await node.Cache.FindAsync(sibling, CancellationToken.None);
                Assert.True(identity is { Status: ApiKeyStatus.Active }, $"After {calls} calls: {identity}");
                if (++calls == 100)
                {
                    warm.TrySetResult();
                }
            }

            return calls;
        })).ToList();
        await warm.Task.WaitAsync(TimeSpan.FromSeconds(30));

        for (var i = 0; i < 20; i++)
        {
            var made = await node.NewKeyAsync(new { name = $"key {i}" });
            Assert.Equal(ApiKeyStatus.Active, (await node.Cache.FindAsync(made.Text("key"), CancellationToken.None))!.Status);
            await node.PostAsync($"/{made.Text("id")}/revoke", null, HttpStatusCode.OK);
            Assert.Equal(ApiKeyStatus.Revoked, (await node.Cache.FindAsync(made.Text("key"), CancellationToken.None))!.Status);
        }

        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(callers), calls => Assert.True(calls > 0));
    }

    /// <summary>Races cold flights against the change itself: an answer from before it must not stay.</summary>
    [Fact]
    public async Task Change_DuringColdLookUps_NeverLeavesAnOldAnswer()
    {
        await using var node = await KeysNode.StartAsync();
        var made = await node.NewKeyAsync(new { name = "bot", tags = new { n = "0" } });
        for (var i = 1; i <= 100; i++)
        {
            var change = node.AnswerAsync(
                HttpMethod.Patch, node.Path($"/{made.Text("id")}"), new { tags = new { n = $"{i}" } }, HttpStatusCode.OK);
            while (!change.IsCompleted)
            {
                await node.Cache.FindAsync(made.Text("key"), CancellationToken.None);
            }

            await change;
            Assert.Equal($"{i}", (await node.Cache.FindAsync(made.Text("key"), CancellationToken.None))!.Tags["n"]);
        }
    }

    /// <summary>The narrowest place: after the entry is dropped, before the feed has finished with the change.</summary>
    [Fact]
    public async Task Find_WhileTheChangeIsAnnounced_GetsItAlready()
    {
        await using var node = await KeysNode.StartAsync();
        var made = await node.NewKeyAsync(new { name = "bot" });
        var key = made.Text("key");
        await node.Cache.FindAsync(key, CancellationToken.None);
        ApiKeyStatus? during = null;
        node.Service<ChangeFeed>().Subscribe(
            ApiKeyStore.Topic, async (_, _) => during = (await node.Cache.FindAsync(key, CancellationToken.None))!.Status);

        await node.PostAsync($"/{made.Text("id")}/revoke", null, HttpStatusCode.OK);

        Assert.Equal(ApiKeyStatus.Revoked, during);
        Assert.Equal(ApiKeyStatus.Revoked, (await node.Cache.FindAsync(key, CancellationToken.None))!.Status);
    }

    [Fact]
    public async Task Revoke_ByAnotherNode_IsSeenWithinASecond()
    {
        await using var node = await KeysNode.StartAsync();
        var key = await node.NewKeyAsync("bot");
        Assert.Equal(ApiKeyStatus.Active, (await node.Cache.FindAsync(key, CancellationToken.None))!.Status);
        var seen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        node.Service<ChangeFeed>().Subscribe(ApiKeyStore.Topic, (_, _) =>
        {
            seen.TrySetResult();
            return Task.CompletedTask;
        });

        // Without this node's own catch-up: only the poll can see it.
        await node.ExecuteAsync($"""
            BEGIN;
            UPDATE api_keys SET status = 'REVOKED';
            UPDATE change_counter SET value = value + 1;
            INSERT INTO changes (number, topic, subject) SELECT value, 'api-key', '{KeyHash.Of(key)}' FROM change_counter;
            COMMIT;
            """);

        await seen.Task.WaitAsync(TimeSpan.FromSeconds(1));
        Assert.Equal(ApiKeyStatus.Revoked, (await node.Cache.FindAsync(key, CancellationToken.None))!.Status);
    }

    [Fact]
    public async Task Tenant_WhenSuspendedOrClosed_IsSeenInTheNextAnswerOfItsKeysAlone()
    {
        await using var node = await KeysNode.StartAsync();
        var key = await node.NewKeyAsync("bot");
        var foreign = (await node.NewKeyAsync(new { name = "bot" }, await node.NewTenantAsync("Other"))).Text("key");
        Assert.Equal(TenantStatus.Active, (await node.Cache.FindAsync(key, CancellationToken.None))!.TenantStatus);
        var other = await node.Cache.FindAsync(foreign, CancellationToken.None);

        await node.PatchTenantAsync(new { status = "SUSPENDED" });
        Assert.Equal(TenantStatus.Suspended, (await node.Cache.FindAsync(key, CancellationToken.None))!.TenantStatus);
        await node.AnswerAsync(HttpMethod.Delete, $"/v1/admin/tenants/{node.Tenant}", null, HttpStatusCode.NoContent);

        Assert.Equal(TenantStatus.Closed, (await node.Cache.FindAsync(key, CancellationToken.None))!.TenantStatus);
        Assert.Same(other, Find(node.Cache, foreign));
    }

    [Fact]
    public async Task Find_WhenTheExpiryHasPassed_IsExpired()
    {
        var clock = new StepClock(Start);
        await using var node = await KeysNode.StartAsync(clock);
        var key = (await node.NewKeyAsync(new { name = "bot", expiresAt = Start.AddHours(1) })).Text("key");

        clock.SetUtcNow(Start.AddHours(1).AddTicks(-1));
        Assert.Equal(ApiKeyStatus.Active, (await node.Cache.FindAsync(key, CancellationToken.None))!.Status);
        clock.SetUtcNow(Start.AddHours(1));

        Assert.Equal(ApiKeyStatus.Expired, (await node.Cache.FindAsync(key, CancellationToken.None))!.Status);
    }

    [Fact]
    public async Task Find_WhileTheDatabaseIsAway_IsAnsweredForTenMinutesAndThenUnavailable()
    {
        var clock = new StepClock(Start);
        await using var node = await KeysNode.StartAsync(clock);
        var (key, cold) = (await node.NewKeyAsync("bot"), await node.NewKeyAsync("cold"));
        var known = await node.Cache.FindAsync(key, CancellationToken.None);
        // Both tables: the feed's polls fail as well.
        await node.ExecuteAsync("ALTER TABLE api_keys RENAME TO away; ALTER TABLE changes RENAME TO changes_away");
        // A poll that was under way may still have seen the old tables; one that fails has not.
        await Assert.ThrowsAnyAsync<Exception>(() => node.Service<ChangeFeed>().CatchUpAsync(CancellationToken.None));

        clock.Advance(TimeSpan.FromMinutes(10));
        Assert.Same(known, Find(node.Cache, key));
        await Assert.ThrowsAsync<ApiKeysUnavailableException>(async () => await node.Cache.FindAsync(cold, CancellationToken.None));
        Assert.Equal(HttpStatusCode.OK, await ReadyAsync());
        clock.Advance(TimeSpan.FromTicks(1));
        await Assert.ThrowsAsync<ApiKeysUnavailableException>(async () => await node.Cache.FindAsync(key, CancellationToken.None));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await ReadyAsync());

        await node.ExecuteAsync("ALTER TABLE away RENAME TO api_keys; ALTER TABLE changes_away RENAME TO changes");
        Assert.Equal(ApiKeyStatus.Active, (await node.Cache.FindAsync(key, CancellationToken.None))!.Status);

        async Task<HttpStatusCode> ReadyAsync()
        {
            using var answer = await node.Admin.GetAsync("/readyz");
            return answer.StatusCode;
        }
    }

    [Fact]
    public async Task Find_CalledOff_EndsTheWaitOnly()
    {
        await using var node = await KeysNode.StartAsync();
        var key = await node.NewKeyAsync("bot");
        using var gone = new CancellationTokenSource();
        await gone.CancelAsync();

        var abandoned = node.Cache.FindAsync(key, gone.Token).AsTask();
        var others = Enumerable.Range(0, 8).Select(_ => node.Cache.FindAsync(key, CancellationToken.None).AsTask());

        Assert.All(await Task.WhenAll(others), identity => Assert.Equal(ApiKeyStatus.Active, identity!.Status));
        // It may have been answered before it looked at its token.
        await Record.ExceptionAsync(() => abandoned);
        Assert.True(abandoned.IsCanceled || abandoned.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task LastUsedAt_AfterLookUps_IsTheLatestUse_AndNotOfRevokedKeys()
    {
        var clock = new StepClock(Start);
        await using var node = await KeysNode.StartAsync(clock);
        var made = await node.NewKeyAsync(new { name = "bot" });
        var id = $"/{made.Text("id")}";

        await node.Cache.FindAsync(made.Text("key"), CancellationToken.None);
        Assert.Equal("2026-04-01T12:00:00Z", (await node.GetAsync(id)).Text("lastUsedAt"));
        clock.Advance(TimeSpan.FromSeconds(90));
        Assert.NotNull(Find(node.Cache, made.Text("key")));
        Assert.Equal("2026-04-01T12:01:30Z", (await node.GetAsync("")).GetProperty("items")[0].Text("lastUsedAt"));
        clock.Advance(TimeSpan.FromSeconds(30));
        Assert.NotNull(Find(node.Cache, made.Text("key")));
        Assert.Equal("2026-04-01T12:02:00Z", (await node.PostAsync($"{id}/revoke", null, HttpStatusCode.OK)).Text("lastUsedAt"));
        clock.Advance(TimeSpan.FromSeconds(90));
        await node.Cache.FindAsync(made.Text("key"), CancellationToken.None);

        Assert.Equal("2026-04-01T12:02:00Z", (await node.PostAsync($"{id}/revoke", null, HttpStatusCode.OK)).Text("lastUsedAt"));
        Assert.Equal("2026-04-01T12:02:00Z", (await node.GetAsync(id)).Text("lastUsedAt"));
    }

    /// <summary>A look-up that must not have to wait.</summary>
    private static ApiKeyIdentity? Find(ApiKeyCache cache, string key)
    {
        var found = cache.FindAsync(key, CancellationToken.None);
        return found.IsCompletedSuccessfully ? found.Result : throw new InvalidOperationException("The key is not warm.");
    }
}
