using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Dvara.FunctionalTests.Faults;
using Dvara.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

/// <summary>Many calls at once against little money: the limit holds, and all of it can be used.</summary>
[Collection(Alone.Name)]
public sealed class CapPressureTests(ITestOutputHelper output) : IAsyncLifetime
{
    // A model of 50 USD per million output tokens: 80 tokens are 0.004 USD, and an answer that uses its 128k is 6.40 USD.
    private const string Dear = """{"provider":"openai","model":"dear","inputPerMillionUsd":0,"outputPerMillionUsd":50,"maxOutputTokens":128000}""";
    private const decimal Cost = 0.004m;

    private FakeUpstream _upstream = null!;
    private GatewayEnvironment _node = null!;
    private TestTenant _tenant = null!;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeUpstream.StartAsync();
        _upstream.Answer = (httpContext, call) => AnswerAsync(httpContext, call, TimeSpan.FromMilliseconds(20));
        _node = await GatewayEnvironment.StartAsync(_upstream.Settings);
        _tenant = await TestTenant.CreateAsync(_node);
        using var priced = await _node.Admin.PostAsync("/v1/admin/pricing", new StringContent(Dear, new MediaTypeHeaderValue("application/json")));
        priced.EnsureSuccessStatusCode();
    }

    public async ValueTask DisposeAsync()
    {
        _tenant.Dispose();
        await _node.DisposeAsync();
        await _upstream.DisposeAsync();
    }

    [Theory]
    [InlineData(200)]
    [InlineData(2000)]
    public async Task ParallelCalls_NeverExceedTheLimit_AndLaterOnesUseTheRest(int calls)
    {
        // Each may use 1,000 output tokens, 0.05 USD, and uses 80: ten fit at once.
        var budget = await TenantBudgetAsync(0.5m, new() { ["holdWaitMs"] = 0 });

        var statuses = await Task.WhenAll(Enumerable.Range(0, calls).Select(_ => CallAsync(maxTokens: 1000)));

        var admitted = statuses.Count(s => s.Status == HttpStatusCode.OK);
        Assert.Equal(calls - admitted, statuses.Count(s => s.Status == HttpStatusCode.PaymentRequired));
        Assert.Equal(admitted, _upstream.Calls.Count);
        var usage = await _node.Admin.UsageAsync(budget);
        Assert.Equal(admitted * Cost, (decimal)usage["spentUsd"]!);
        Assert.True((decimal)usage["spentUsd"]! <= 0.5m);

        // The last one must fit with its whole bound.
        var room = (int)((0.5m - 0.05m) / Cost) + 1;
        while (admitted <= room && (await CallAsync(maxTokens: 1000)).Status == HttpStatusCode.OK)
        {
            admitted++;
        }

        Assert.Equal(room, admitted);
        Assert.Equal(admitted * Cost, (decimal)(await _node.Admin.UsageAsync(budget))["spentUsd"]!);
    }

    [Fact]
    public async Task ParallelCalls_AtTheSameInstant_OnlySoManyAsFitAreAtTheProvider()
    {
        var atOnce = 0;
        var worst = 0;
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _upstream.Answer = async (httpContext, call) =>
        {
            lock (goOn)
            {
                worst = Math.Max(worst, ++atOnce);
            }

            await goOn.Task;
            await AnswerAsync(httpContext, call, TimeSpan.Zero);
        };
        await TenantBudgetAsync(0.5m, new() { ["holdWaitMs"] = 200 });

        var running = Enumerable.Range(0, 200).Select(_ => CallAsync(maxTokens: 1000)).ToList();
        while (running.Where(task => !task.IsCompleted).ToList() is { Count: > 10 } open && Volatile.Read(ref worst) <= 10)
        {
            await Task.WhenAny(open);
        }

        goOn.SetResult();
        var ended = await Task.WhenAll(running);
        Assert.Equal((10, 10), (worst, ended.Count(e => e.Status == HttpStatusCode.OK)));
        // What is in the way are calls in flight, so trying again makes sense.
        Assert.All(ended.Where(e => e.Status == HttpStatusCode.PaymentRequired), e => Assert.True((bool)e.Body["error"]!["budget"]!["retryable"]!));
    }

    /// <summary>Two caps, one of them with room: a call waits for the other's running call, and is admitted when that has ended.</summary>
    [Fact]
    public async Task Call_ThatOneOfTwoCapsHasNoRoomFor_WaitsUntilItHas()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _upstream.Answer = async (httpContext, call) =>
        {
            asked.TrySetResult();
            await goOn.Task;
            await AnswerAsync(httpContext, call, TimeSpan.Zero);
        };
        await TenantBudgetAsync(1, new() { ["holdWaitMs"] = 60_000 });
        await TenantBudgetAsync(0.06m, new() { ["holdWaitMs"] = 60_000, ["apiKeyId"] = _tenant.KeyId });
        var first = CallAsync(maxTokens: 1000);
        await asked.Task;

        var second = CallAsync(maxTokens: 1000);
        // Long enough for several looks of a call that waits.
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(300));
        var early = await Task.WhenAny(second, timer.WaitForNextTickAsync().AsTask());
        var atTheProvider = _upstream.Calls.Count;
        goOn.SetResult();

        Assert.NotSame(second, early);
        Assert.Equal(1, atTheProvider);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), ((await first).Status, (await second).Status));
    }

    [Fact]
    public async Task DearModel_WithoutALimit_SpendsNearlyTheWholeCap_OneAfterTheOther()
    {
        var budget = await TenantBudgetAsync(5);
        _upstream.Answer = (httpContext, call) => AnswerAsync(httpContext, call, TimeSpan.Zero);

        var clamped = 0L;
        for (var admitted = 0; admitted * Cost <= 5 && await CallAsync() is { Status: HttpStatusCode.OK } call; admitted++)
        {
            clamped = call.OutputMax!.Value;
        }

        var spent = (decimal)(await _node.Admin.UsageAsync(budget))["spentUsd"]!;
        output.WriteLine($"spent {spent} of 5 USD one after the other; the last call was clamped to {clamped} tokens");
        Assert.InRange(spent, 4.9m, 5m);
        Assert.InRange(clamped, 256, 400);
    }

    [Fact]
    public async Task DearModel_WithoutALimit_SpendsNearlyTheWholeCap_FiftyInParallel()
    {
        var budget = await TenantBudgetAsync(5);

        await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => Await.TrueAsync(
            async () => await CallAsync() is { Status: not HttpStatusCode.OK } call && !(bool)call.Body["error"]!["budget"]!["retryable"]!, "a refusal for good")));

        var spent = (decimal)(await _node.Admin.UsageAsync(budget))["spentUsd"]!;
        output.WriteLine($"spent {spent} of 5 USD with 50 in parallel");
        Assert.InRange(spent, 4.5m, 5m);
    }

    [Fact]
    public async Task FirstCallsOfABrandNewKey_AreCapped()
    {
        await TenantBudgetAsync(0.1m, new() { ["holdWaitMs"] = 0 });
        using var key = await TestTenant.CreateAsync(_node);
        var budget = await _node.Admin.MakeBudgetAsync(0.1m, new() { ["apiKeyId"] = key.KeyId, ["holdWaitMs"] = 0 });

        var statuses = await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => CallAsync(maxTokens: 1000, by: key)));

        var admitted = statuses.Count(s => s.Status == HttpStatusCode.OK);
        Assert.InRange(admitted, 1, 25);
        Assert.Equal(admitted, _upstream.Calls.Count);
        Assert.Equal(admitted * Cost, (decimal)(await _node.Admin.UsageAsync(budget))["spentUsd"]!);
    }

    [Fact]
    public async Task CapMadeUnderLoad_CountsEveryChargeOnce()
    {
        using var stop = new CancellationTokenSource();
        var load = Enumerable.Range(0, 16).Select(_ => CallUntilAsync(stop.Token)).ToList();
        var budgets = new List<JsonObject>();
        for (var i = 0; i < 8; i++)
        {
            await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => CallAsync(maxTokens: 1000)));
            budgets.Add(await TenantBudgetAsync(1000, i % 2 == 0 ? null : new() { ["model"] = "dear" }));
        }

        await stop.CancelAsync();
        await Task.WhenAll(load);

        var rows = (await AllCostsAsync()).Sum(line => (decimal)line["totalCostUsd"]!);
        foreach (var budget in budgets)
        {
            Assert.Equal(rows, (decimal)(await _node.Admin.UsageAsync(budget))["spentUsd"]!);
        }
    }

    /// <summary>An elastic cap holds what such calls usually cost, so many more fit at once; and says by how much it can be exceeded.</summary>
    [Fact]
    public async Task ElasticCap_HoldsTheUsual_AndPublishesItsBound()
    {
        var budget = await TenantBudgetAsync(0.5m, new() { ["mode"] = "ELASTIC", ["holdWaitMs"] = 0 });
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await CallAsync(maxTokens: 1000)).Status);
        }

        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _upstream.Answer = async (httpContext, call) =>
        {
            await goOn.Task;
            await AnswerAsync(httpContext, call, TimeSpan.Zero);
        };
        var running = Enumerable.Range(0, 50).Select(_ => CallAsync(maxTokens: 1000)).ToList();
        // Half a second old at most.
        await Await.TrueAsync(async () => (decimal)(await _node.Admin.UsageAsync(budget))["overrunBoundUsd"]! >= 50 * (0.05m - Cost), "its bound to grow");

        goOn.SetResult();
        Assert.All(await Task.WhenAll(running), call => Assert.Equal(HttpStatusCode.OK, call.Status));
        Assert.Equal(60 * Cost, (decimal)(await _node.Admin.UsageAsync(budget))["spentUsd"]!);
    }

    private async Task CallUntilAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await CallAsync(maxTokens: 1000);
        }
    }

    private async Task<IReadOnlyList<JsonNode>> AllCostsAsync() => await DrillLoad.ReadLinesAsync(_node.Admin, _tenant.Id);

    private Task<JsonObject> TenantBudgetAsync(decimal limitUsd, JsonObject? fields = null)
    {
        fields ??= [];
        fields["tenantId"] = _tenant.Id;
        return _node.Admin.MakeBudgetAsync(limitUsd, fields);
    }

    private async Task<(HttpStatusCode Status, JsonNode Body, long? OutputMax)> CallAsync(int? maxTokens = null, TestTenant? by = null)
    {
        var limit = maxTokens is { } tokens ? $"\"max_tokens\":{tokens}," : "";
        using var answer = await (by ?? _tenant).PostAsync("/v1/chat/completions", $$"""{"model":"openai/dear",{{limit}}"messages":[{"role":"user","content":"Hi"}]}""");
        var outputMax = answer.Headers.TryGetValues("X-Dvara-Max-Output-Tokens", out var values)
            ? long.Parse(values.Single(), System.Globalization.CultureInfo.InvariantCulture)
            : (long?)null;
        return (answer.StatusCode, JsonNode.Parse(await answer.Content.ReadAsStringAsync())!, outputMax);
    }

    /// <summary>80 output tokens, after a while.</summary>
    private static async Task AnswerAsync(HttpContext httpContext, UpstreamCall call, TimeSpan after)
    {
        if (after > TimeSpan.Zero)
        {
            using var timer = new PeriodicTimer(after);
            await timer.WaitForNextTickAsync();
        }

        var answer = Recorded.Chat("""{"prompt_tokens":10,"completion_tokens":80,"total_tokens":90}""", model: "dear");
        await Recorded.WriteAsync(httpContext, "application/json", Encoding.UTF8.GetBytes(answer));
    }
}
