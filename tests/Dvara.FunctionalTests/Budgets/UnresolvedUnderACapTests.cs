using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Dvara.FunctionalTests.Costs;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

/// <summary>Calls of unknown outcome fill a cap; what becomes of them never takes it above its limit, while it is within their holds.</summary>
public sealed class UnresolvedUnderACapTests : IAsyncLifetime
{
    // A call of 1,000 output tokens holds 0.05 USD.
    private const string Dear = """{"provider":"openai","model":"dear","inputPerMillionUsd":0,"outputPerMillionUsd":50,"maxOutputTokens":128000}""";
    private const decimal Limit = 0.15m;

    private FakeUpstream _upstream = null!;
    private GatewayEnvironment _node = null!;
    private TestTenant _tenant = null!;
    private JsonObject _budget = null!;

    public async ValueTask InitializeAsync()
    {
        _upstream = await UnresolvedNode.HangsUpAsync();
        _node = await GatewayEnvironment.StartAsync(_upstream.Settings);
        _tenant = await TestTenant.CreateAsync(_node);
        using var priced = await _node.Admin.PostAsync("/v1/admin/pricing", new StringContent(Dear, new MediaTypeHeaderValue("application/json")));
        priced.EnsureSuccessStatusCode();
        _budget = await _node.Admin.MakeBudgetAsync(Limit, new() { ["tenantId"] = _tenant.Id, ["holdWaitMs"] = 0 });
    }

    public async ValueTask DisposeAsync()
    {
        _tenant.Dispose();
        await _node.DisposeAsync();
        await _upstream.DisposeAsync();
    }

    [Fact]
    public async Task Resolution_WithinTheHold_NeverMakesAnOverrun()
    {
        for (var call = 0; call < 3; call++)
        {
            Assert.Equal(HttpStatusCode.BadGateway, await CallAsync(1000));
        }

        Assert.Equal(HttpStatusCode.PaymentRequired, await CallAsync(1));
        await ExpectAsync(spent: 0, exposed: Limit);

        await ResolveAsync(new { inputTokens = 1000, outputTokens = 1000 });
        await ExpectAsync(spent: 0.05m, exposed: 0.1m);
        await ResolveAsync(new { inputTokens = 1000, outputTokens = 500 });
        await ExpectAsync(spent: 0.075m, exposed: 0.05m);
        await ResolveAsync(new { billed = false });
        await ExpectAsync(spent: 0.075m, exposed: 0);

        // What came free can be used again, to the last.
        foreach (var tokens in (int[])[1000, 500])
        {
            await Await.TrueAsync(async () => await CallAsync(tokens) == HttpStatusCode.BadGateway, "the silo to hear of a resolution");
            await ResolveAsync(new { inputTokens = 1000, outputTokens = tokens });
        }

        await ExpectAsync(spent: Limit, exposed: 0);
        Assert.Equal(HttpStatusCode.PaymentRequired, await CallAsync(1));

        // None of it is laid to the resolutions later either.
        await _node.Admin.ChangeBudgetAsync(_budget, new() { ["limitUsd"] = 0.1m });
        var lowered = (await _node.Admin.UsageAsync(_budget))["overrun"]!;
        Assert.Equal((0m, 0m, 0m, 0.05m), (Cause("aboveBoundUsd"), Cause("lateUsd"), Cause("correctionUsd"), Cause("limitLoweredUsd")));

        decimal Cause(string name) => (decimal)lowered[name]!;
    }

    /// <summary>Settles one of those that are still open.</summary>
    private async Task ResolveAsync(object order)
    {
        var open = (await _tenant.CostsAsync()).First(line => (string?)line["state"] == "UNRESOLVED");
        await UnresolvedNode.ResolveAsync(_node.Admin, (string)open["id"]!, order, HttpStatusCode.OK, key: null);
    }

    private async Task ExpectAsync(decimal spent, decimal exposed)
    {
        var usage = await _node.Admin.UsageAsync(_budget);
        Assert.Equal((spent, exposed, 0m), ((decimal)usage["spentUsd"]!, (decimal)usage["exposureUsd"]!, (decimal)usage["overrunUsd"]!));
    }

    private async Task<HttpStatusCode> CallAsync(int tokens)
    {
        using var answer = await _tenant.PostAsync(
            "/v1/chat/completions", $$"""{"model":"openai/dear","max_tokens":{{tokens}},"messages":[{"role":"user","content":"Hi"}]}""");
        return answer.StatusCode;
    }
}
