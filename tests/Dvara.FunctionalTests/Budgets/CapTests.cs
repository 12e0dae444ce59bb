using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.Domain;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

/// <summary>What a caller meets: admitted, clamped, made to wait, refused; and what an operator sees of it.</summary>
public sealed class CapTests(SharedNode shared) : IClassFixture<SharedNode>, IAsyncLifetime
{
    private readonly GatewayEnvironment _node = shared.Node;
    private TestTenant _tenant = null!;

    public async ValueTask InitializeAsync() => _tenant = await TestTenant.CreateAsync(_node);

    public ValueTask DisposeAsync()
    {
        _tenant.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task SequentialCalls_AreRefusedAtExactlyTheRightOne()
    {
        var budget = await TenantBudgetAsync(10 * MockCall.Cost);

        var statuses = new List<HttpStatusCode>();
        for (var i = 0; i < 12; i++)
        {
            statuses.Add((await CallAsync()).Status);
        }

        Assert.Equal([.. Enumerable.Repeat(HttpStatusCode.OK, 10), HttpStatusCode.PaymentRequired, HttpStatusCode.PaymentRequired], statuses);
        var usage = await _node.Admin.UsageAsync(budget);
        Assert.Equal((10 * MockCall.Cost, 0m, 0m, "HARD"), ((decimal)usage["spentUsd"]!, (decimal)usage["remainingUsd"]!, (decimal)usage["overrunUsd"]!, (string?)usage["state"]));
        Assert.Equal(10, (int)usage["requestCount"]!);
    }

    [Fact]
    public async Task Refusal_SaysWhichBudget_AndReachesNoProvider()
    {
        var budget = await TenantBudgetAsync(0.001m, new() { ["name"] = "Pilot" });

        var (status, body, headers) = await CallAsync();

        Assert.Equal(HttpStatusCode.PaymentRequired, status);
        var error = body["error"]!;
        Assert.Equal(["message", "type", "code", "param", "request_id", "budget"], error.AsObject().Select(member => member.Key));
        Assert.Equal(("budget_exceeded", "BUDGET_CAP_HARD"), ((string?)error["type"], (string?)error["code"]));
        var told = error["budget"]!;
        Assert.Equal(((string?)budget["id"], "Pilot", "tenant", "MONTHLY"), ((string?)told["id"], (string?)told["name"], (string?)told["scope"], (string?)told["period"]));
        Assert.Equal((0.001m, 0m, 0.001m, false), ((decimal)told["limitUsd"]!, (decimal)told["spentUsd"]!, (decimal)told["remainingUsd"]!, (bool)told["retryable"]!));
        Assert.Equal("false", headers["x-should-retry"]);
        Assert.DoesNotContain("Retry-After", headers.Keys);
        Assert.Equal("0.001", headers["X-Budget-Limit-Usd"]);
        Assert.Empty(await _tenant.CostsAsync());
        Assert.Single(await EventsAsync("GATEWAY_REQUEST"), e => (string?)e["payload"]!["code"] == "BUDGET_CAP_HARD");
    }

    [Fact]
    public async Task LimitOfZero_BlocksEverything()
    {
        await TenantBudgetAsync(0);

        Assert.Equal(HttpStatusCode.PaymentRequired, (await CallAsync()).Status);
        Assert.Single(await EventsAsync("BUDGET_CAP_HARD"));
        Assert.Equal(HttpStatusCode.PaymentRequired, (await CallAsync(
            """{"model":"mock/gpt-4o","messages":[{"role":"user","content":"Hi"}],"metadata":{"mock":{"prompt_tokens":"0","completion_tokens":"0"}}}""")).Status);
        Assert.Single(await EventsAsync("BUDGET_CAP_HARD"));
    }

    [Fact]
    public async Task Change_ThatPutsAThresholdAtTheSpend_TellsOfIt()
    {
        await CallAsync();
        Assert.Single(await _tenant.CostsAsync());
        // Its baseline has what was spent: no silo has a lease of it.
        var budget = await TenantBudgetAsync(1, new() { ["softLimitPct"] = 80 });

        await _node.Admin.ChangeBudgetAsync(budget, new() { ["limitUsd"] = MockCall.Cost * 1.25m });
        Assert.Single(await EventsAsync("BUDGET_CAP_SOFT"));
        Assert.Empty(await EventsAsync("BUDGET_CAP_HARD"));

        await _node.Admin.ChangeBudgetAsync(budget, new() { ["limitUsd"] = MockCall.Cost });
        Assert.Single(await EventsAsync("BUDGET_CAP_HARD"));
    }

    [Fact]
    public async Task SeveralCaps_MustAllAdmit_AndNothingIsHeldWhereOneRefuses()
    {
        var wide = await TenantBudgetAsync(1);
        var narrow = await TenantBudgetAsync(2 * MockCall.Cost, new() { ["apiKeyId"] = _tenant.KeyId, ["name"] = "key" });

        for (var i = 0; i < 2; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await CallAsync()).Status);
        }

        var (status, body, _) = await CallAsync();

        Assert.Equal(HttpStatusCode.PaymentRequired, status);
        Assert.Equal(("key", "api_key"), ((string?)body["error"]!["budget"]!["name"], (string?)body["error"]!["budget"]!["scope"]));
        Assert.Equal(2 * MockCall.Cost, (decimal)(await _node.Admin.UsageAsync(wide))["spentUsd"]!);
        Assert.Equal(2 * MockCall.Cost, (decimal)(await _node.Admin.UsageAsync(narrow))["spentUsd"]!);
    }

    [Fact]
    public async Task Scopes_CoverWhatTheyName_AndNothingElse()
    {
        var tagged = await TenantBudgetAsync(1, new() { ["tag"] = new JsonObject { ["key"] = "Project", ["value"] = "apollo" } });
        var model = await TenantBudgetAsync(1, new() { ["model"] = "gpt-4o-*" });
        var named = await TenantBudgetAsync(1, new() { ["model"] = "mock/gpt-4o-mini" });
        var elsewhere = await TenantBudgetAsync(1, new() { ["model"] = "openai/gpt-4o*" });
        using var other = await TestTenant.CreateAsync(_node);

        await CallAsync();
        await CallAsync(MockCall.Tagged);
        await CallAsync(MockCall.Body.Replace("mock/gpt-4o", "mock/gpt-4o-mini", StringComparison.Ordinal));
        await other.PostAsync("/v1/chat/completions", MockCall.Body);

        Assert.Equal(MockCall.Cost, (decimal)(await _node.Admin.UsageAsync(tagged))["spentUsd"]!);
        Assert.Equal(0.00045m, (decimal)(await _node.Admin.UsageAsync(model))["spentUsd"]!);
        Assert.Equal(0.00045m, (decimal)(await _node.Admin.UsageAsync(named))["spentUsd"]!);
        Assert.Equal(0m, (decimal)(await _node.Admin.UsageAsync(elsewhere))["spentUsd"]!);
    }

    [Fact]
    public async Task CapOfTheFleet_CoversEveryTenant()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        using var one = await TestTenant.CreateAsync(node);
        using var other = await TestTenant.CreateAsync(node);
        var fleet = await node.Admin.MakeBudgetAsync(1);

        await one.CallAsync();
        await other.CallAsync();

        Assert.Equal(2 * MockCall.Cost, (decimal)(await node.Admin.UsageAsync(fleet))["spentUsd"]!);
    }

    [Fact]
    public async Task CapWithoutATenant_ShowsCallersNoAmounts()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        using var tenant = await TestTenant.CreateAsync(node);
        await node.Admin.MakeBudgetAsync(0.001m, new() { ["name"] = "fleet of everybody" });

        var (status, body, headers) = await CallAsync(of: tenant);

        Assert.Equal(HttpStatusCode.PaymentRequired, status);
        Assert.Equal("platform", (string?)body["error"]!["budget"]!["scope"]);
        Assert.DoesNotContain("0.001", body.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(["scope", "resetsAt", "retryable"], body["error"]!["budget"]!.AsObject().Select(member => member.Key));
        Assert.DoesNotContain("everybody", body.ToJsonString(), StringComparison.Ordinal);
        Assert.DoesNotContain("whole limit", body.ToJsonString(), StringComparison.Ordinal);
        Assert.DoesNotContain(headers.Keys, name => name.StartsWith("X-Budget", StringComparison.OrdinalIgnoreCase));
        Assert.DoesNotContain("0.001", await tenant.Client.GetStringAsync("/v1/budget"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task LoweredLimit_ActsAtOnce_AndARaisedOneLetsCallsInAgain()
    {
        var budget = await TenantBudgetAsync(1);
        await CallAsync();

        await _node.Admin.ChangeBudgetAsync(budget, new() { ["limitUsd"] = 0.005m });
        var refused = await CallAsync();
        var lowered = await _node.Admin.UsageAsync(budget);
        await _node.Admin.ChangeBudgetAsync(budget, new() { ["limitUsd"] = 1 });
        var admitted = await CallAsync();

        Assert.Equal((HttpStatusCode.PaymentRequired, HttpStatusCode.OK), (refused.Status, admitted.Status));
        Assert.Equal((0.0025m, 0.0025m), ((decimal)lowered["overrunUsd"]!, (decimal)lowered["overrun"]!["limitLoweredUsd"]!));
        Assert.Equal(2 * MockCall.Cost, (decimal)(await _node.Admin.UsageAsync(budget))["spentUsd"]!);
    }

    [Fact]
    public async Task Events_AreToldOncePerArm()
    {
        var budget = await TenantBudgetAsync(10 * MockCall.Cost, new() { ["softLimitPct"] = 80 });

        for (var i = 0; i < 12; i++)
        {
            await CallAsync();
        }

        await _node.Admin.UsageAsync(budget);
        var soft = Assert.Single(await EventsAsync("BUDGET_CAP_SOFT"));
        Assert.Single(await EventsAsync("BUDGET_CAP_HARD"));
        Assert.Equal((80, "Acme Ltd", (string?)budget["id"]), ((int)soft["payload"]!["softLimitPct"]!, (string?)soft["payload"]!["tenantName"], (string?)soft["payload"]!["budgetId"]));

        // Above the spend again: the next crossing is another event.
        await _node.Admin.ChangeBudgetAsync(budget, new() { ["limitUsd"] = 14 * MockCall.Cost });
        for (var i = 0; i < 6; i++)
        {
            await CallAsync();
        }

        await _node.Admin.UsageAsync(budget);
        Assert.Equal(2, (await EventsAsync("BUDGET_CAP_SOFT")).Count);
        Assert.Equal(2, (await EventsAsync("BUDGET_CAP_HARD")).Count);
    }

    /// <summary>Whoever is told of the limit because of it would not hear any more when the limit is near.</summary>
    [Fact]
    public async Task CallLargerThanTheLimit_IsRefusedAndCounted_AndTellsOfNoThreshold()
    {
        var budget = await TenantBudgetAsync(10 * MockCall.Cost, new() { ["softLimitPct"] = 80 });
        var large = CallOf(completionTokens: 7_251);
        var unlimited = $$"""{"model":"mock/gpt-4o","messages":[{"role":"user","content":"{{new string('x', 40_000)}}"}]}""";

        foreach (var call in new[] { large, unlimited })
        {
            var (status, body, _) = await CallAsync(call);
            Assert.Equal((HttpStatusCode.PaymentRequired, "BUDGET_CAP_HARD"), (status, (string?)body["error"]!["code"]));
            Assert.Contains("may cost more than the whole limit", (string?)body["error"]!["message"], StringComparison.Ordinal);
            Assert.False((bool)body["error"]!["budget"]!["retryable"]!);
        }

        Assert.Equal("OK", (string?)(await UntilBlockedAsync(budget, 2))["state"]);
        Assert.Equal(2, (await EventsAsync("GATEWAY_REQUEST")).Count(e => (string?)e["payload"]!["code"] == "BUDGET_CAP_HARD"));
        Assert.Equal((0, 0), await ToldAsync());

        for (var i = 0; i < 8; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await CallAsync()).Status);
        }

        await CallAsync(large);
        await _node.Admin.UsageAsync(budget);
        Assert.Equal((1, 0), await ToldAsync());

        // Of the limit to the pico-dollar: it would have fit, if nothing had been spent.
        var (_, refusal, _) = await CallAsync(CallOf(completionTokens: 7_250));
        Assert.DoesNotContain("whole limit", (string?)refusal["error"]!["message"], StringComparison.Ordinal);
        Assert.Equal((1, 1), await ToldAsync());
    }

    [Fact]
    public async Task PerCallCeiling_ClampsWhatHasNoLimit_AndRefusesWhatHas()
    {
        using var careful = await TestTenant.CreateAsync(_node, new() { ["metadata"] = new JsonObject { ["cost.max-per-call-usd"] = "0.01" } });

        using var clamped = await careful.PostAsync("/v1/chat/completions", """{"model":"mock/gpt-4o","messages":[{"role":"user","content":"Hi"}]}""");
        using var refused = await careful.PostAsync("/v1/chat/completions", """{"model":"mock/gpt-4o","max_tokens":100000,"messages":[{"role":"user","content":"Hi"}]}""");

        Assert.Equal(HttpStatusCode.OK, clamped.StatusCode);
        Assert.InRange(long.Parse(clamped.Headers.GetValues("X-Dvara-Max-Output-Tokens").Single(), System.Globalization.CultureInfo.InvariantCulture), 900, 1000);
        Assert.Equal(HttpStatusCode.PaymentRequired, refused.StatusCode);
        Assert.Equal("PER_CALL_COST_EXCEEDED", (string?)(await refused.Content.ReadFromJsonAsync<JsonNode>())!["error"]!["code"]);
    }

    [Fact]
    public async Task Shortfall_ClampsOrRefuses_AsTheBudgetSays()
    {
        const string Unlimited = """{"model":"mock/gpt-4o","messages":[{"role":"user","content":"Hi"}]}""";
        var budget = await TenantBudgetAsync(0.01m, new() { ["onShortfall"] = "REFUSE" });

        var refused = await CallAsync(Unlimited);
        await _node.Admin.ChangeBudgetAsync(budget, new() { ["onShortfall"] = "CLAMP" });
        var clamped = await CallAsync(Unlimited);
        await _node.Admin.ChangeBudgetAsync(budget, new() { ["assumedMaxOutputTokens"] = 300 });
        var assumed = await CallAsync(Unlimited);

        Assert.Equal(HttpStatusCode.PaymentRequired, refused.Status);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (clamped.Status, assumed.Status));
        Assert.InRange(int.Parse(clamped.Headers["X-Dvara-Max-Output-Tokens"], System.Globalization.CultureInfo.InvariantCulture), 900, 1000);
        Assert.Equal("300", assumed.Headers["X-Dvara-Max-Output-Tokens"]);
    }

    [Fact]
    public async Task LimitOfTheClient_IsHeldWhole_WhateverTheModelIsSaidToBeAbleTo()
    {
        using var priced = await _node.Admin.PostAsJsonAsync(
            "/v1/admin/pricing", new { provider = "mock", model = "small", inputPerMillionUsd = 1, outputPerMillionUsd = 10, maxOutputTokens = 100 });
        priced.EnsureSuccessStatusCode();
        await TenantBudgetAsync(0.01m);

        var (status, _, _) = await CallAsync("""{"model":"mock/small","max_tokens":5000,"messages":[{"role":"user","content":"Hi"}]}""");

        Assert.Equal(HttpStatusCode.PaymentRequired, status);
    }

    [Fact]
    public async Task DisabledBudget_CountsOn_HoldsNothing_AndRefusesNobody()
    {
        var budget = await TenantBudgetAsync(2 * MockCall.Cost);
        await CallAsync();
        await _node.Admin.ChangeBudgetAsync(budget, new() { ["enabled"] = false });

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await CallAsync()).Status);
        }

        var usage = await _node.Admin.UsageAsync(budget);
        Assert.Equal((4 * MockCall.Cost, 2 * MockCall.Cost, "HARD"), ((decimal)usage["spentUsd"]!, (decimal)usage["overrunUsd"]!, (string?)usage["state"]));
        Assert.Empty(await EventsAsync("BUDGET_CAP_HARD"));
        await _node.Admin.ChangeBudgetAsync(budget, new() { ["enabled"] = true });
        Assert.Equal(HttpStatusCode.PaymentRequired, (await CallAsync()).Status);
        Assert.Single(await EventsAsync("BUDGET_CAP_HARD"));
    }

    [Fact]
    public async Task NewBudget_AboveItsThresholdAlready_TellsAtOnce()
    {
        for (var i = 0; i < 9; i++)
        {
            await CallAsync();
        }

        await TenantBudgetAsync(10 * MockCall.Cost);

        Assert.Single(await EventsAsync("BUDGET_CAP_SOFT"));
        Assert.Empty(await EventsAsync("BUDGET_CAP_HARD"));
    }

    [Fact]
    public async Task Refusal_Is429_WhereTheOperatorSaysSo()
    {
        await using var node = await GatewayEnvironment.StartAsync(new Dictionary<string, string?> { ["Dvara:Budgets:RefusalStatus"] = "429" });
        using var tenant = await TestTenant.CreateAsync(node);
        await node.Admin.MakeBudgetAsync(0, new() { ["tenantId"] = tenant.Id });

        using var refused = await tenant.PostAsync("/v1/chat/completions", MockCall.Body);

        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal("BUDGET_CAP_HARD", (string?)(await refused.Content.ReadFromJsonAsync<JsonNode>())!["error"]!["code"]);
    }

    [Fact]
    public async Task UnpricedModel_UnderACap_HoldsTheDearestPriceOfItsProvider_AndStaysExposed()
    {
        var budget = await TenantBudgetAsync(0.02m);
        var unpriced = MockCall.Body.Replace("mock/gpt-4o", "mock/unheard-of", StringComparison.Ordinal);

        // mock/claude-sonnet is the dearest: 15 USD per million of output, and 3.75 where input is written to a cache.
        Assert.Equal(HttpStatusCode.OK, (await CallAsync(unpriced)).Status);
        var usage = await _node.Admin.UsageAsync(budget);
        Assert.Equal((0m, 0.01125m), ((decimal)usage["spentUsd"]!, (decimal)usage["exposureUsd"]!));
        Assert.Equal(HttpStatusCode.PaymentRequired, (await CallAsync(unpriced)).Status);
    }

    [Fact]
    public async Task Figures_AreTheSameWhereverTheyAreShown()
    {
        var budget = await TenantBudgetAsync(0.025m);
        var unpriced = MockCall.Body.Replace("mock/gpt-4o", "mock/unheard-of", StringComparison.Ordinal);
        await CallAsync();
        await CallAsync(unpriced);
        var usage = await _node.Admin.UsageAsync(budget);
        Assert.Equal((MockCall.Cost, 0.01125m), ((decimal)usage["spentUsd"]!, (decimal)usage["exposureUsd"]!));

        // What is fetched ahead comes and goes for some seconds; then nothing moves any more.
        await Await.TrueAsync(
            async () =>
            {
                var (status, refusal, headers) = await CallAsync(unpriced);
                usage = await _node.Admin.UsageAsync(budget);
                using var estimate = await _tenant.PostAsync("/v1/budget/estimate", unpriced);
                JsonNode[] shown =
                [
                    refusal["error"]!["budget"]!,
                    (await _tenant.Client.GetFromJsonAsync<JsonNode>("/v1/budget"))!["data"]![0]!,
                    (await estimate.Content.ReadFromJsonAsync<JsonNode>())!["budgets"]![0]!,
                ];

                Assert.Equal(HttpStatusCode.PaymentRequired, status);
                Assert.All(shown, figures => Assert.Equal(MockCall.Cost, (decimal)figures["spentUsd"]!));
                Assert.Contains("0.01125 USD of the budget are kept for calls that may still be billed", (string)refusal["error"]!["message"]!, StringComparison.Ordinal);
                var remaining = usage["remainingUsd"]!.ToString();
                return remaining == "0.00625" && headers["X-Budget-Remaining-Usd"] == remaining && Array.TrueForAll(shown, figures => figures["remainingUsd"]!.ToString() == remaining);
            },
            "the figures to be the same");
    }

    [Fact]
    public async Task WhatWasFetchedAhead_IsGivenBack_WhenNothingComes()
    {
        var budget = await TenantBudgetAsync(1);
        await CallAsync();
        Assert.True((decimal)(await _node.Admin.UsageAsync(budget))["heldUsd"]! > 0);

        await Await.TrueAsync(async () => (decimal)(await _node.Admin.UsageAsync(budget))["heldUsd"]! == 0, "it to be given back");

        Assert.Equal(1 - MockCall.Cost, (decimal)(await _node.Admin.UsageAsync(budget))["remainingUsd"]!);
    }

    [Fact]
    public async Task UnpricedModel_UnderACap_IsRefusedWhereTheTenantSaysSo()
    {
        using var strict = await TestTenant.CreateAsync(_node, new() { ["metadata"] = new JsonObject { ["cost.unpriced-policy"] = "block" } });
        await _node.Admin.MakeBudgetAsync(1, new() { ["tenantId"] = strict.Id });

        using var refused = await strict.PostAsync("/v1/chat/completions", MockCall.Body.Replace("mock/gpt-4o", "mock/unheard-of", StringComparison.Ordinal));

        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        Assert.Equal("unpriced_model", (string?)(await refused.Content.ReadFromJsonAsync<JsonNode>())!["error"]!["code"]);
        Assert.Empty(await strict.CostsAsync());
    }

    /// <summary>What is rejected of a prediction is billed as output, beyond the limit.</summary>
    [Fact]
    public async Task Prediction_IsPartOfTheBound()
    {
        const string Prediction = """{"type":"content","content":"0123456789"}""";

        using var answer = await _tenant.PostAsync("/v1/budget/estimate", MockCall.Body.Replace("\"metadata\"", "\"prediction\":" + Prediction + ",\"metadata\"", StringComparison.Ordinal));

        Assert.Equal(MockCall.Cost + (Prediction.Length * 0.00001m), (decimal)(await answer.Content.ReadFromJsonAsync<JsonNode>())!["maxCostUsd"]!);
    }

    [Fact]
    public async Task Calls_BeyondThoseThatMayWait_AreRefusedAtOnce()
    {
        const string Bounded = """{"model":"gpt-4o","max_tokens":10000,"messages":[{"role":"user","content":"Hi"}]}""";
        await using var upstream = await FakeUpstream.StartAsync();
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        upstream.Answer = async (httpContext, call) =>
        {
            asked.TrySetResult();
            await goOn.Task;
            await Recorded.AnswerAsync(httpContext, call);
        };
        await using var node = await GatewayEnvironment.StartAsync(new Dictionary<string, string?>(upstream.Settings) { ["Dvara:Budgets:WaitingMax"] = "1" });
        using var tenant = await TestTenant.CreateAsync(node);
        await node.Admin.MakeBudgetAsync(0.15m, new() { ["tenantId"] = tenant.Id, ["holdWaitMs"] = 60_000 });

        var running = tenant.PostAsync("/v1/chat/completions", Bounded);
        await asked.Task;
        var both = new[] { tenant.PostAsync("/v1/chat/completions", Bounded), tenant.PostAsync("/v1/chat/completions", Bounded) };
        var first = await Task.WhenAny(both);
        using var refused = await first;
        goOn.SetResult();
        using var waited = await both.Single(call => call != first);
        using var ran = await running;

        Assert.Equal((HttpStatusCode.PaymentRequired, HttpStatusCode.OK, HttpStatusCode.OK), (refused.StatusCode, waited.StatusCode, ran.StatusCode));
        Assert.True((bool)(await refused.Content.ReadFromJsonAsync<JsonNode>())!["error"]!["budget"]!["retryable"]!);
    }

    [Fact]
    public async Task CallThatNeedsMoreThanTheLease_WhileNobodyAnswers_LeavesTheLeaseToOthers()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        using var tenant = await TestTenant.CreateAsync(node);
        await node.Admin.MakeBudgetAsync(50, new() { ["tenantId"] = tenant.Id });
        Assert.Equal(HttpStatusCode.OK, (await tenant.CallAsync()).Status);
        await using var connection = await node.ConnectAsync();
        await connection.ExecuteAsync("ALTER TABLE leases RENAME TO away");

        var large = await tenant.CallAsync(CallOf(completionTokens: 1_000_000));
        var (first, second) = (await tenant.CallAsync(), await tenant.CallAsync());
        await connection.ExecuteAsync("ALTER TABLE away RENAME TO leases");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, large.Status);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (first.Status, second.Status));
        Assert.Equal(HttpStatusCode.OK, (await tenant.CallAsync(CallOf(completionTokens: 1_000_000))).Status);
    }

    [Fact]
    public async Task Stop_GivesBackWhatWasGranted()
    {
        var data = Directory.CreateTempSubdirectory("dvara-test-");
        try
        {
            var node = await GatewayEnvironment.StartAsync(dataDirectory: data.FullName);
            await using var connection = await node.ConnectAsync();
            using (var tenant = await TestTenant.CreateAsync(node))
            {
                await node.Admin.MakeBudgetAsync(1, new() { ["tenantId"] = tenant.Id });
                using var answer = await tenant.PostAsync("/v1/chat/completions", MockCall.Body);
            }

            var granted = await GrantedAsync();
            await node.DisposeAsync();

            // Some was fetched ahead, for calls to come.
            Assert.True(granted > MockCall.Cost);
            Assert.Equal(MockCall.Cost, await GrantedAsync());

            async Task<decimal> GrantedAsync() => Usd.FromPico(await connection.QuerySingleAsync<long>("SELECT granted_pico_usd FROM leases")).ToDecimal();
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Estimate_PricesACall_AndDispatchesNothing()
    {
        await TenantBudgetAsync(MockCall.Cost);

        using var answer = await _tenant.PostAsync("/v1/budget/estimate", MockCall.Body);
        var estimate = (await answer.Content.ReadFromJsonAsync<JsonNode>())!;
        await CallAsync();
        using var after = await _tenant.PostAsync("/v1/budget/estimate", MockCall.Body);

        Assert.Equal((MockCall.Cost, true), ((decimal)estimate["maxCostUsd"]!, (bool)estimate["admitted"]!));
        Assert.Equal(MockCall.Cost, (decimal)Assert.Single(estimate["budgets"]!.AsArray())!["limitUsd"]!);
        Assert.False((bool)(await after.Content.ReadFromJsonAsync<JsonNode>())!["admitted"]!);
        Assert.Single(await _tenant.CostsAsync());
    }

    [Fact]
    public async Task Answers_CarryTheTightestBudgetOfTheTenant()
    {
        await TenantBudgetAsync(1);
        await TenantBudgetAsync(0.5m);
        await CallAsync();

        var (_, _, headers) = await CallAsync();

        Assert.Equal("0.5", headers["X-Budget-Limit-Usd"]);
        Assert.EndsWith("-01T00:00:00Z", headers["X-Budget-Reset"], StringComparison.Ordinal);
    }

    /// <summary>Of the trail of this test's tenant.</summary>
    private Task<IReadOnlyList<JsonObject>> EventsAsync(string type) => _node.Admin.AuditAsync(type, _tenant.Id);

    private static string CallOf(int completionTokens) =>
        MockCall.Body.Replace("500", completionTokens.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal);

    private async Task<(int Soft, int Hard)> ToldAsync() =>
        ((await EventsAsync("BUDGET_CAP_SOFT")).Count, (await EventsAsync("BUDGET_CAP_HARD")).Count);

    /// <summary>The usage, once it says that so many calls were refused: they are written twice a second.</summary>
    private async Task<JsonObject> UntilBlockedAsync(JsonObject budget, int calls)
    {
        JsonObject usage = [];
        await Await.TrueAsync(async () => (int)(usage = await _node.Admin.UsageAsync(budget))["blockedCount"]! == calls, $"{calls} refusals to be written");
        return usage;
    }

    private Task<JsonObject> TenantBudgetAsync(decimal limitUsd, JsonObject? fields = null)
    {
        fields ??= [];
        fields["tenantId"] = _tenant.Id;
        return _node.Admin.MakeBudgetAsync(limitUsd, fields);
    }

    private async Task<(HttpStatusCode Status, JsonNode Body, IReadOnlyDictionary<string, string> Headers)> CallAsync(
        string body = MockCall.Body, TestTenant? of = null)
    {
        using var answer = await (of ?? _tenant).PostAsync("/v1/chat/completions", body);
        return (
            answer.StatusCode,
            JsonNode.Parse(await answer.Content.ReadAsStringAsync())!,
            answer.Headers.ToDictionary(header => header.Key, header => string.Join(',', header.Value), StringComparer.OrdinalIgnoreCase));
    }
}
