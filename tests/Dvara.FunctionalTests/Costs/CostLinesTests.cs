using System.Net;
using System.Text.Json;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Costs;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

public sealed class CostLinesTests(CostLinesTests.Node node) : IClassFixture<CostLinesTests.Node>
{
    private static readonly DateTimeOffset Noon = new(2026, 4, 15, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task Line_OfASettledAttempt_HasEveryFieldOfTheContract()
    {
        var charge = SomeCharges.At(Noon, tags: new Dictionary<string, string> { ["Project"] = "apollo" });
        await node.AddAsync(charge);

        var line = await node.GetAsync($"/{charge.Intent.AttemptId}");
        var list = await node.GetAsync($"?requestId={charge.Intent.RequestId}");

        Assert.Equal(
            $$"""
            {"id":"{{charge.Intent.AttemptId}}","requestId":"{{charge.Intent.RequestId}}","attempt":1,"tenantId":"{{charge.Intent.TenantId}}","apiKeyId":"{{charge.Intent.ApiKeyId}}","provider":"openai","model":"gpt-4o","requestedModel":"openai/gpt-4o","inputTokens":1000,"cachedInputTokens":100,"cacheWriteTokens":null,"outputTokens":500,"reasoningTokens":100,"inputCostUsd":0.0025,"outputCostUsd":0.005,"totalCostUsd":0.0075,"currency":"USD","priceId":"{{charge.PriceId}}","state":"SETTLED","estimated":false,"unresolvedLowerBoundUsd":0,"tags":{"Project":"apollo"},"endUser":"someone","timestamp":"2026-04-15T12:00:00Z","latencyMs":321,"status":200,"outcome":null,"revisions":[]}
            """,
            line.GetRawText());
        Assert.Equal(line.GetRawText(), Assert.Single(list.GetProperty("items").EnumerateArray()).GetRawText());
    }

    [Fact]
    public async Task Line_OfAFailedAttempt_HasZeroTokens_AndOneOfUnknownOutcomeHasNone()
    {
        var failed = SomeCharges.At(Noon) with { State = ChargeState.Failed, Usage = null, Cost = default, PriceId = null, Status = 429 };
        var unresolved = SomeCharges.At(Noon) with
        {
            State = ChargeState.Unresolved, Usage = null, Cost = default, LowerBound = Usd.FromPico(7), PriceId = null, Status = null,
        };
        await node.AddAsync(failed, unresolved);

        var failedLine = await node.GetAsync($"/{failed.Intent.AttemptId}");
        var unresolvedLine = await node.GetAsync($"/{unresolved.Intent.AttemptId}");

        Assert.Equal(0, failedLine.GetProperty("inputTokens").GetInt32());
        Assert.Equal(0, failedLine.GetProperty("outputTokens").GetInt32());
        Assert.Equal(JsonValueKind.Null, unresolvedLine.GetProperty("inputTokens").ValueKind);
        Assert.Equal(JsonValueKind.Null, unresolvedLine.GetProperty("status").ValueKind);
        Assert.Equal(0m, unresolvedLine.GetProperty("totalCostUsd").GetDecimal());
        Assert.Equal("0.000000000007", unresolvedLine.GetProperty("unresolvedLowerBoundUsd").GetRawText());
    }

    [Fact]
    public async Task Line_WithACorrection_IsTheSumAndShowsIt()
    {
        var charge = SomeCharges.At(Noon) with { State = ChargeState.Unpriced, Cost = default, PriceId = null };
        var repriced = SomeCharges.At(Noon) with
        {
            Intent = charge.Intent,
            Revision = 1,
            Kind = RevisionKind.Reprice,
            Usage = null,
            Cost = new(Usd.FromDecimal(0.0025m), Usd.FromDecimal(0.005m)),
        };
        await node.AddAsync(charge, repriced);

        var line = await node.GetAsync($"/{charge.Intent.AttemptId}");
        var list = await node.GetAsync($"?requestId={charge.Intent.RequestId}");

        Assert.Equal("SETTLED", line.GetProperty("state").GetString());
        Assert.Equal(0.0075m, line.GetProperty("totalCostUsd").GetDecimal());
        Assert.Equal(1000, line.GetProperty("inputTokens").GetInt32());
        Assert.Equal(
            $$"""[{"revision":1,"kind":"REPRICE","state":"SETTLED","inputTokens":0,"outputTokens":0,"inputCostUsd":0.0025,"outputCostUsd":0.005,"totalCostUsd":0.0075,"priceId":"{{repriced.PriceId}}","billingMonth":"2026-04"}]""",
            line.GetProperty("revisions").GetRawText());
        Assert.Equal(1, list.GetProperty("items").GetArrayLength());
    }

    [Theory]
    [InlineData("00000000-0000-0000-0000-000000000000")]
    [InlineData("1")]
    [InlineData("-1")]
    [InlineData("summary2")]
    [InlineData("%7B%22id%22%7D")]
    public async Task Line_OfAnUnknownId_Is404(string id)
    {
        await node.RefusedAsync($"/{id}", HttpStatusCode.NotFound, "not_found");
    }

    [Fact]
    public async Task Lines_WithEachFilter_AreThoseThatMatch()
    {
        var one = SomeCharges.At(Noon, "openai", "gpt-4o", new Dictionary<string, string> { ["Project"] = "a:b", ["team"] = "x" });
        var two = SomeCharges.At(Noon.AddMinutes(1), "mock", "gpt-4o-mini", new Dictionary<string, string> { ["project"] = "other" }, tenant: 1, key: 2);
        var three = SomeCharges.At(Noon.AddMinutes(2), "mock", "gpt-4o", key: 1) with { State = ChargeState.Failed, Usage = null, Cost = default };
        await using var own = await CostsNode.StartAsync(one, two, three);
        (string Query, Charge[] Expected)[] table =
        [
            ("", [three, two, one]),
            ($"?tenantId={SomeCharges.Tenants[1]}", [two]),
            ($"?tenant_id={SomeCharges.Tenants[0]}", [three, one]),
            ($"?apiKeyId={SomeCharges.Keys[1]}", [three]),
            ($"?requestId={one.Intent.RequestId}", [one]),
            ($"?requestId={one.Intent.RequestId}&tenantId={SomeCharges.Tenants[1]}", []),
            ($"?requestId={Guid.Empty}", []),
            ("?provider=mock", [three, two]),
            ("?model=gpt-4o", [three, one]),
            ("?provider=mock&model=gpt-4o", [three]),
            ("?state=failed", [three]),
            ("?state=SETTLED", [two, one]),
            ("?tag=PROJECT:a:b", [one]),
            ("?tag=project:A:b", []),
            ("?tag=project:a:b&tag=team:x", [one]),
            ("?tag=project:a:b&tag=team:y", []),
            ("?tag=team:", []),
            ("?from=2026-04-15T12:01:00Z", [three, two]),
            ("?to=2026-04-15T12:01:00Z", [one]),
            ("?from=2026-04-15T12:00:00Z&to=2026-04-15T12:00:00.001Z", [one]),
            ("?from=2026-04-15T12:00:00.0000001Z&to=2026-04-15T12:01:00.0000001Z", [two]),
            ("?period=2026-04", [three, two, one]),
            ("?period=2026-05", []),
            ("?limit=2", [three, two]),
        ];

        foreach (var (query, expected) in table)
        {
            var items = (await own.GetAsync(query)).GetProperty("items").EnumerateArray().Select(line => line.GetProperty("id").GetString());
            Assert.True(expected.Select(c => c.Intent.AttemptId.ToString()).SequenceEqual(items), query);
        }
    }

    [Theory]
    [InlineData("?tenantId=1", "tenantId")]
    [InlineData("?apiKeyId=x", "apiKeyId")]
    [InlineData("?requestId=req_1", "requestId")]
    [InlineData("?state=DONE", "state")]
    [InlineData("?state=0", "state")]
    [InlineData("?state=-1", "state")]
    [InlineData("?state=SETTLED,FAILED", "state")]
    [InlineData("?tag=Project", "tag")]
    [InlineData("?tag=:x", "tag")]
    [InlineData("?tag=", "tag")]
    [InlineData("?tag=a:1&tag=A:2", "tag")]
    [InlineData("?limit=0", "limit")]
    [InlineData("?limit=-1", "limit")]
    [InlineData("?limit=1001", "limit")]
    [InlineData("?limit=all", "limit")]
    [InlineData("?limit=1e3", "limit")]
    [InlineData("?sort=cost;DROP%20TABLE%20charges", "sort")]
    [InlineData("?__proto__=1", "proto")]
    [InlineData("?tenantId=01890000-0000-7000-8000-000000000001&tenant_id=01890000-0000-7000-8000-000000000002", "tenantId")]
    public async Task Lines_WithABadParameter_NameIt(string query, string field)
    {
        var error = await node.RefusedAsync(query, HttpStatusCode.BadRequest, "validation_error");

        Assert.Equal(field, error.GetProperty("errors")[0].GetProperty("field").GetString());
    }

    [Fact]
    public async Task RequestCosts_AreForTheKeyThatMadeTheRequest()
    {
        var first = SomeCharges.At(Noon) with { State = ChargeState.Failed, Usage = null, Cost = default };
        var second = SomeCharges.At(Noon.AddSeconds(1));
        second = second with { Intent = second.Intent with { RequestId = first.Intent.RequestId, Attempt = 2 } };
        await node.AddAsync(first, second);
        var costs = node.Service<RequestCosts>();
        var (request, tenant, key) = (first.Intent.RequestId, first.Intent.TenantId, first.Intent.ApiKeyId);

        var lines = await costs.FindAsync(request, tenant, key, CancellationToken.None);

        Assert.Equal([first.Intent.AttemptId, second.Intent.AttemptId], lines!.Select(line => line.Id));
        Assert.Null(await costs.FindAsync(request, tenant, SomeCharges.Keys[1], CancellationToken.None));
        Assert.Null(await costs.FindAsync(request, SomeCharges.Tenants[1], key, CancellationToken.None));
        Assert.Null(await costs.FindAsync(new(Guid.NewGuid()), tenant, key, CancellationToken.None));
    }

    public sealed class Node() : CostsNode(SomeCharges.At(Noon));
}
