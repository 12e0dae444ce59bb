using System.Net;
using Dvara.Server.ApiKeys;
using Dvara.Server.Storage;
using Dvara.Server.Tenants;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.ApiKeys;

/// <summary>Cache, grain and change feed of a real node, asked as the gateway asks.</summary>
public sealed class ApiKeyCacheTests(SharedNode shared) : IClassFixture<SharedNode>
{
    private static readonly DateTimeOffset Start = new(2026, 4, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task Find_AKey_SaysEverythingTheDataPlaneMustKnow()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        await keys.PatchTenantAsync(new { tags = new { site = "berlin" }, metadata = new Dictionary<string, string> { ["cost.unpriced-policy"] = "block" } });
        var made = await keys.NewKeyAsync(new
        {
            name = "bot", scopes = new[] { "models:read" }, models = new[] { "gpt-4o*" }, tags = new { team = "a" }, expiresAt = "2999-01-01T00:00:00Z",
        });

        var identity = await keys.Cache.FindAsync(made.Text("key"), CancellationToken.None);

        Assert.NotNull(identity);
        Assert.Equal((made.Text("id"), keys.Tenant), (identity.KeyId.ToString(), identity.TenantId.ToString()));
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
        await using var node = await GatewayEnvironment.StartAsync(clock: new StepClock(Start));
        var keys = await TenantKeys.CreateAsync(node);
        var (cache, key) = (keys.Cache, await keys.NewKeyAsync("bot"));
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
        await using var node = await GatewayEnvironment.StartAsync();
        var keys = await TenantKeys.CreateAsync(node);
        var key = await keys.NewKeyAsync("bot");
        await keys.ExecuteAsync("ALTER TABLE api_keys RENAME TO away");

        foreach (var bad in new[] { key[..^1], key[..^1] + (key[^1] == 'a' ? 'b' : 'a'), key + "a", "", "gw_", "gw_é", new string('x', 1 << 20), "' OR '1'='1" })
        {
            Assert.Null(await keys.Cache.FindAsync(bad, CancellationToken.None));
        }

        await Assert.ThrowsAsync<ApiKeysUnavailableException>(async () => await keys.Cache.FindAsync(key, CancellationToken.None));
        await keys.ExecuteAsync("ALTER TABLE away RENAME TO api_keys");
        Assert.NotNull(await keys.Cache.FindAsync(key, CancellationToken.None));
    }

    [Fact]
    public async Task Find_AnUnknownKey_IsNullAndAskedForOnceInFiveSeconds()
    {
        var clock = new StepClock(Start);
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        var keys = await TenantKeys.CreateAsync(node);
        var key = ApiKeyFormat.Make();
        Assert.Null(await keys.Cache.FindAsync(key, CancellationToken.None));
        await keys.ExecuteAsync("ALTER TABLE api_keys RENAME TO away");

        clock.Advance(TimeSpan.FromSeconds(5) - TimeSpan.FromTicks(1));
        Assert.Null(await keys.Cache.FindAsync(key, CancellationToken.None));
        clock.Advance(TimeSpan.FromTicks(1));

        await Assert.ThrowsAsync<ApiKeysUnavailableException>(async () => await keys.Cache.FindAsync(key, CancellationToken.None));
    }

    [Fact]
    public async Task Find_ManyUnknownKeys_StayBounded_AndKnownOnesStayWarm()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        var keys = await TenantKeys.CreateAsync(node);
        var key = await keys.NewKeyAsync("bot");
        var known = await keys.Cache.FindAsync(key, CancellationToken.None);

        // A hundred at a time: one by one they would wait for the database most of the while.
        for (var i = 0; i < ApiKeyCache.UnknownMax + 500; i += 100)
        {
            var unknown = Enumerable.Range(0, 100).Select(_ => keys.Cache.FindAsync(ApiKeyFormat.Make(), CancellationToken.None).AsTask());
            Assert.All(await Task.WhenAll(unknown), Assert.Null);
        }

        Assert.InRange(keys.Cache.Count, 2, ApiKeyCache.UnknownMax + 1);
        Assert.Same(known, Find(keys.Cache, key));
    }

    [Fact]
    public async Task Revoke_UnderParallelLookUps_IsSeenByTheNextOne_AndTheSiblingNeverFails()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var sibling = await keys.NewKeyAsync("sibling");
        using var stop = new CancellationTokenSource();
        var warm = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var callers = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            var calls = 0;
            while (!stop.IsCancellationRequested)
            {
                // A warm answer comes without waiting: without this the callers would keep the silo's own threads out.
                await Task.Yield();
                var identity = await keys.Cache.FindAsync(sibling, CancellationToken.None);
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
            var made = await keys.NewKeyAsync(new { name = $"key {i}" });
            Assert.Equal(ApiKeyStatus.Active, (await keys.Cache.FindAsync(made.Text("key"), CancellationToken.None))!.Status);
            await keys.PostAsync($"/{made.Text("id")}/revoke", null, HttpStatusCode.OK);
            Assert.Equal(ApiKeyStatus.Revoked, (await keys.Cache.FindAsync(made.Text("key"), CancellationToken.None))!.Status);
        }

        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(callers), calls => Assert.True(calls > 0));
    }

    /// <summary>Races cold flights against the change itself: an answer from before it must not stay.</summary>
    [Fact]
    public async Task Change_DuringColdLookUps_NeverLeavesAnOldAnswer()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var made = await keys.NewKeyAsync(new { name = "bot", tags = new { n = "0" } });
        for (var i = 1; i <= 100; i++)
        {
            var change = keys.AnswerAsync(
                HttpMethod.Patch, keys.Path($"/{made.Text("id")}"), new { tags = new { n = $"{i}" } }, HttpStatusCode.OK);
            while (!change.IsCompleted)
            {
                await keys.Cache.FindAsync(made.Text("key"), CancellationToken.None);
            }

            await change;
            Assert.Equal($"{i}", (await keys.Cache.FindAsync(made.Text("key"), CancellationToken.None))!.Tags["n"]);
        }
    }

    /// <summary>The narrowest place: after the entry is dropped, before the feed has finished with the change.</summary>
    [Fact]
    public async Task Find_WhileTheChangeIsAnnounced_GetsItAlready()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        var keys = await TenantKeys.CreateAsync(node);
        var made = await keys.NewKeyAsync(new { name = "bot" });
        var key = made.Text("key");
        await keys.Cache.FindAsync(key, CancellationToken.None);
        ApiKeyStatus? during = null;
        keys.Service<ChangeFeed>().Subscribe(
            ApiKeyStore.Topic, async (_, _) => during = (await keys.Cache.FindAsync(key, CancellationToken.None))!.Status);

        await keys.PostAsync($"/{made.Text("id")}/revoke", null, HttpStatusCode.OK);

        Assert.Equal(ApiKeyStatus.Revoked, during);
        Assert.Equal(ApiKeyStatus.Revoked, (await keys.Cache.FindAsync(key, CancellationToken.None))!.Status);
    }

    [Fact]
    public async Task Revoke_ByAnotherNode_IsSeen()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        var keys = await TenantKeys.CreateAsync(node);
        var key = await keys.NewKeyAsync("bot");
        Assert.Equal(ApiKeyStatus.Active, (await keys.Cache.FindAsync(key, CancellationToken.None))!.Status);
        var seen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        keys.Service<ChangeFeed>().Subscribe(ApiKeyStore.Topic, (_, _) =>
        {
            seen.TrySetResult();
            return Task.CompletedTask;
        });

        // Without this node's own catch-up: only the poll can see it.
        await keys.ExecuteAsync($"""
            BEGIN;
            UPDATE api_keys SET status = 'REVOKED';
            UPDATE change_counter SET value = value + 1;
            INSERT INTO changes (number, topic, subject) SELECT value, 'api-key', '{KeyHash.Of(key)}' FROM change_counter;
            COMMIT;
            """);

        await seen.Task.WaitAsync(TimeSpan.FromMinutes(1));
        Assert.Equal(ApiKeyStatus.Revoked, (await keys.Cache.FindAsync(key, CancellationToken.None))!.Status);
    }

    [Fact]
    public async Task Tenant_WhenSuspendedOrClosed_IsSeenInTheNextAnswerOfItsKeysAlone()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var key = await keys.NewKeyAsync("bot");
        var foreign = (await keys.NewKeyAsync(new { name = "bot" }, await keys.NewTenantAsync("Other"))).Text("key");
        Assert.Equal(TenantStatus.Active, (await keys.Cache.FindAsync(key, CancellationToken.None))!.TenantStatus);
        var other = await keys.Cache.FindAsync(foreign, CancellationToken.None);

        await keys.PatchTenantAsync(new { status = "SUSPENDED" });
        Assert.Equal(TenantStatus.Suspended, (await keys.Cache.FindAsync(key, CancellationToken.None))!.TenantStatus);
        await keys.AnswerAsync(HttpMethod.Delete, $"/v1/admin/tenants/{keys.Tenant}", null, HttpStatusCode.NoContent);

        Assert.Equal(TenantStatus.Closed, (await keys.Cache.FindAsync(key, CancellationToken.None))!.TenantStatus);
        Assert.Same(other, Find(keys.Cache, foreign));
    }

    [Fact]
    public async Task Find_WhenTheExpiryHasPassed_IsExpired()
    {
        var clock = new StepClock(Start);
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        var keys = await TenantKeys.CreateAsync(node);
        var key = (await keys.NewKeyAsync(new { name = "bot", expiresAt = Start.AddHours(1) })).Text("key");

        clock.SetUtcNow(Start.AddHours(1).AddTicks(-1));
        Assert.Equal(ApiKeyStatus.Active, (await keys.Cache.FindAsync(key, CancellationToken.None))!.Status);
        clock.SetUtcNow(Start.AddHours(1));

        Assert.Equal(ApiKeyStatus.Expired, (await keys.Cache.FindAsync(key, CancellationToken.None))!.Status);
    }

    [Fact]
    public async Task Find_WhileTheDatabaseIsAway_IsAnsweredForTenMinutesAndThenUnavailable()
    {
        var clock = new StepClock(Start);
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        var keys = await TenantKeys.CreateAsync(node);
        var (key, cold) = (await keys.NewKeyAsync("bot"), await keys.NewKeyAsync("cold"));
        var known = await keys.Cache.FindAsync(key, CancellationToken.None);
        // Both tables: the feed's polls fail as well.
        await keys.ExecuteAsync("ALTER TABLE api_keys RENAME TO away; ALTER TABLE changes RENAME TO changes_away");
        // A poll that was under way may still have seen the old tables; one that fails has not.
        await Assert.ThrowsAnyAsync<Exception>(() => keys.Service<ChangeFeed>().CatchUpAsync(CancellationToken.None));

        clock.Advance(TimeSpan.FromMinutes(10));
        Assert.Same(known, Find(keys.Cache, key));
        await Assert.ThrowsAsync<ApiKeysUnavailableException>(async () => await keys.Cache.FindAsync(cold, CancellationToken.None));
        Assert.Equal(HttpStatusCode.OK, await ReadyAsync());
        clock.Advance(TimeSpan.FromTicks(1));
        await Assert.ThrowsAsync<ApiKeysUnavailableException>(async () => await keys.Cache.FindAsync(key, CancellationToken.None));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await ReadyAsync());

        await keys.ExecuteAsync("ALTER TABLE away RENAME TO api_keys; ALTER TABLE changes_away RENAME TO changes");
        Assert.Equal(ApiKeyStatus.Active, (await keys.Cache.FindAsync(key, CancellationToken.None))!.Status);

        async Task<HttpStatusCode> ReadyAsync()
        {
            using var answer = await keys.Admin.GetAsync("/readyz");
            return answer.StatusCode;
        }
    }

    [Fact]
    public async Task Find_CalledOff_EndsTheWaitOnly()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var key = await keys.NewKeyAsync("bot");
        using var gone = new CancellationTokenSource();
        await gone.CancelAsync();

        var abandoned = keys.Cache.FindAsync(key, gone.Token).AsTask();
        var others = Enumerable.Range(0, 8).Select(_ => keys.Cache.FindAsync(key, CancellationToken.None).AsTask());

        Assert.All(await Task.WhenAll(others), identity => Assert.Equal(ApiKeyStatus.Active, identity!.Status));
        // It may have been answered before it looked at its token.
        await Record.ExceptionAsync(() => abandoned);
        Assert.True(abandoned.IsCanceled || abandoned.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task LastUsedAt_AfterLookUps_IsTheLatestUse_AndNotOfRevokedKeys()
    {
        var clock = new StepClock(Start);
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        var keys = await TenantKeys.CreateAsync(node);
        var made = await keys.NewKeyAsync(new { name = "bot" });
        var id = $"/{made.Text("id")}";

        await keys.Cache.FindAsync(made.Text("key"), CancellationToken.None);
        Assert.Equal("2026-04-01T12:00:00Z", (await keys.GetAsync(id)).Text("lastUsedAt"));
        clock.Advance(TimeSpan.FromSeconds(90));
        Assert.NotNull(Find(keys.Cache, made.Text("key")));
        Assert.Equal("2026-04-01T12:01:30Z", (await keys.GetAsync("")).GetProperty("items")[0].Text("lastUsedAt"));
        clock.Advance(TimeSpan.FromSeconds(30));
        Assert.NotNull(Find(keys.Cache, made.Text("key")));
        Assert.Equal("2026-04-01T12:02:00Z", (await keys.PostAsync($"{id}/revoke", null, HttpStatusCode.OK)).Text("lastUsedAt"));
        clock.Advance(TimeSpan.FromSeconds(90));
        await keys.Cache.FindAsync(made.Text("key"), CancellationToken.None);

        Assert.Equal("2026-04-01T12:02:00Z", (await keys.PostAsync($"{id}/revoke", null, HttpStatusCode.OK)).Text("lastUsedAt"));
        Assert.Equal("2026-04-01T12:02:00Z", (await keys.GetAsync(id)).Text("lastUsedAt"));
    }

    /// <summary>A look-up that must not have to wait.</summary>
    private static ApiKeyIdentity? Find(ApiKeyCache cache, string key)
    {
        var found = cache.FindAsync(key, CancellationToken.None);
        return found.IsCompletedSuccessfully ? found.Result : throw new InvalidOperationException("The key is not warm.");
    }
}
