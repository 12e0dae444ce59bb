using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.FunctionalTests.Chargeback;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

/// <summary>What becomes of a charge of unknown outcome: what it is settled as, once, and where it shows.</summary>
public sealed class ResolveTests(ResolveTests.Node shared) : IClassFixture<ResolveTests.Node>, IAsyncLifetime
{
    // gpt-4o: 2.50 USD per million in, 10 out; half of the former from the cache.
    private static readonly object Figures = new { inputTokens = 1000, cachedInputTokens = 400, outputTokens = 500, reasoningTokens = 100, note = "Export of 11 April" };
    private static readonly object NotBilled = new { billed = false };

    private readonly UnresolvedNode _node = shared.Unresolved;
    private TestTenant _tenant = null!;

    public async ValueTask InitializeAsync() => _tenant = await TestTenant.CreateAsync(_node.Environment);

    public ValueTask DisposeAsync()
    {
        _tenant.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Charge_WithTheProvidersFigures_IsSettled_AndEverySumIsTheTruth()
    {
        var charge = await CallAsync();
        Assert.True(charge.GetProperty("unresolvedLowerBoundUsd").GetDecimal() > 0);
        Assert.True(charge.GetProperty("inputTokens").GetInt64() > 0);

        var line = await _node.ResolveAsync(charge, Figures);

        AssertFigures(line, "SETTLED", input: 1000, output: 500, cost: 0.007m);
        Assert.Equal((400, 100), (line.GetProperty("cachedInputTokens").GetInt64(), line.GetProperty("reasoningTokens").GetInt64()));
        Assert.False(line.GetProperty("estimated").GetBoolean());
        Assert.Equal(("connection_reset", charge.GetProperty("priceId").GetString()), (Text(line, "outcome"), Text(line, "priceId")));
        var revision = Assert.Single(line.GetProperty("revisions").EnumerateArray());
        Assert.Equal(("RESOLUTION", "SETTLED", "2026-04"), (Text(revision, "kind"), Text(revision, "state"), Text(revision, "billingMonth")));
        Assert.Equal(line.GetRawText(), (await _node.ReadAsync(charge)).GetRawText());

        foreach (var groupBy in new[] { "", "&groupBy=model", "&groupBy=hour" })
        {
            var summary = await _node.SummaryAsync(_tenant, groupBy);
            AssertSummary(summary, requests: 1, input: 1000, output: 500, cost: 0.007m);
            Assert.All(summary.GetProperty("groups").EnumerateArray(), group => AssertSummary(group, requests: 1, input: 1000, output: 500, cost: 0.007m));
        }
    }

    [Fact]
    public async Task Charge_ThatWasNotBilled_HasFailed_AndCostsNothing()
    {
        var charge = await CallAsync();

        var line = await _node.ResolveAsync(charge, NotBilled);

        AssertFigures(line, "FAILED", input: 0, output: 0, cost: 0);
        var summary = await _node.SummaryAsync(_tenant);
        AssertSummary(summary, requests: 0, input: 0, output: 0, cost: 0);
        Assert.Equal(1, summary.GetProperty("failedAttempts").GetInt64());
    }

    [Fact]
    public async Task Charge_OfAModelWithoutAPrice_BecomesUnpriced()
    {
        var charge = await CallAsync("openai/house-model");

        var line = await _node.ResolveAsync(charge, Figures);

        AssertFigures(line, "UNPRICED", input: 1000, output: 500, cost: 0);
        Assert.Equal(JsonValueKind.Null, line.GetProperty("priceId").ValueKind);
        Assert.Equal(1, (await _node.SummaryAsync(_tenant)).GetProperty("unpricedRequests").GetInt64());
    }

    [Fact]
    public async Task Charge_IsPricedAsOfItsStart()
    {
        var clock = new StepClock(ChargebackNode.April);
        await using var node = await UnresolvedNode.StartAsync(clock);
        using var tenant = await TestTenant.CreateAsync(node.Environment);
        await PriceAsync(node, "house-model", input: 1, from: "2026-04-01T00:00:00Z", to: "2026-04-11T00:00:00Z");
        await PriceAsync(node, "house-model", input: 100, from: "2026-04-11T00:00:00Z");
        var charge = await UnresolvedNode.CallAsync(tenant, "openai/house-model");
        clock.Advance(TimeSpan.FromDays(2));

        var line = await node.ResolveAsync(charge, new { inputTokens = 1_000_000, outputTokens = 0 });

        Assert.Equal(1m, line.GetProperty("totalCostUsd").GetDecimal());
    }

    [Fact]
    public async Task Resolution_IsInTheTrail_AndTheRequestSaysWhatItBecame()
    {
        var charge = await CallAsync();
        using var answer = await UnresolvedNode.PostAsync(_node.Environment.Admin, Text(charge, "id"), Figures);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);

        var resolved = Assert.Single(await _node.EventsAsync(_tenant, "CHARGE_RESOLVED"));
        Assert.Equal(answer.Headers.GetValues("x-request-id").Single(), Text(resolved, "requestId"));
        Assert.True(Guid.TryParse(Text(resolved, "actor"), out _));
        Assert.Equal(
            $$"""{"attemptId":"{{Text(charge, "id")}}","revision":1,"stateBefore":"UNRESOLVED","stateAfter":"SETTLED","amountUsd":0.007,"note":"Export of 11 April"}""",
            resolved.GetProperty("payload").GetRawText());
        var request = Assert.Single(await _node.EventsAsync(_tenant, "GATEWAY_REQUEST")).GetProperty("payload");
        Assert.Equal(("settled", 0.007m, false), (Text(request, "outcome"), request.GetProperty("totalCostUsd").GetDecimal(), request.GetProperty("estimated").GetBoolean()));
    }

    [Fact]
    public async Task Charge_ThatIsSettled_IsNotSettledAgain()
    {
        var charge = await CallAsync();
        var line = await _node.ResolveAsync(charge, Figures);

        var error = await _node.ResolveAsync(charge, Figures, HttpStatusCode.Conflict);
        await _node.ResolveAsync(charge, NotBilled, HttpStatusCode.Conflict);

        Assert.Equal("conflict", Text(error, "code"));
        Assert.Contains("SETTLED", Text(error, "message"), StringComparison.Ordinal);
        Assert.Equal(line.GetRawText(), (await _node.ReadAsync(charge)).GetRawText());
        Assert.Single(await _node.EventsAsync(_tenant, "CHARGE_RESOLVED"));
    }

    [Fact]
    public async Task TwentyResolutionsAtOnce_SettleItOnce()
    {
        var charge = await CallAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i =>
            UnresolvedNode.PostAsync(_node.Environment.Admin, Text(charge, "id"), new { inputTokens = 1000, outputTokens = i })));

        var won = Assert.Single(answers, answer => answer.StatusCode == HttpStatusCode.OK);
        Assert.Equal(19, answers.Count(answer => answer.StatusCode == HttpStatusCode.Conflict));
        var line = await _node.ReadAsync(charge);
        Assert.Equal(await won.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), line.GetRawText());
        Assert.Single(line.GetProperty("revisions").EnumerateArray());
        Assert.Single(await _node.EventsAsync(_tenant, "CHARGE_RESOLVED"));
        AssertSummary(
            await _node.SummaryAsync(_tenant), requests: 1, input: 1000, line.GetProperty("outputTokens").GetInt64(), line.GetProperty("totalCostUsd").GetDecimal());
    }

    [Fact]
    public async Task Repeat_UnderItsKey_GetsTheLine_AlsoWhereTheAnswerWasLost()
    {
        var charge = await CallAsync();
        var line = await _node.ResolveAsync(charge, Figures, key: "once");

        Assert.Equal(line.GetRawText(), (await _node.ResolveAsync(charge, Figures, key: "once")).GetRawText());
        await using (var connection = await _node.Environment.ConnectAsync())
        {
            // As a process that died before it had kept its answer leaves it.
            await connection.ExecuteAsync("DELETE FROM idempotency_keys");
        }

        await _node.ResolveAsync(charge, NotBilled, HttpStatusCode.Conflict, key: "once");
        await _node.ResolveAsync(charge, Figures, HttpStatusCode.Conflict, key: "twice");
        await _node.ResolveAsync(charge, Figures, HttpStatusCode.Conflict);
        Assert.Equal(line.GetRawText(), (await _node.ResolveAsync(charge, Figures, key: "once")).GetRawText());
        Assert.Single(await _node.EventsAsync(_tenant, "CHARGE_RESOLVED"));
    }

    [Fact]
    public async Task Charge_UnderACap_IsSpent_AndNoLongerExposed()
    {
        var scope = new JsonObject { ["tenantId"] = _tenant.Id, ["model"] = "gpt-4o" };
        var cap = await _node.Environment.Admin.MakeBudgetAsync(5, scope);
        var (billed, free) = (await CallAsync("openai/gpt-4o"), await CallAsync("openai/gpt-4o"));
        var before = await _node.Environment.Admin.UsageAsync(cap);
        Assert.Equal((0m, true), ((decimal)before["spentUsd"]!, (decimal)before["exposureUsd"]! > 0.1m));

        await _node.ResolveAsync(billed, Figures);
        await _node.ResolveAsync(free, NotBilled);

        var after = await _node.Environment.Admin.UsageAsync(cap);
        Assert.Equal((0.007m, 0m, 1), ((decimal)after["spentUsd"]!, (decimal)after["exposureUsd"]!, (int)after["requestCount"]!));
    }

    [Fact]
    public async Task Charge_OfAClosedMonth_IsBilledInTheNext_AsAnAdjustment()
    {
        var clock = new StepClock(ChargebackNode.April);
        await using var node = await UnresolvedNode.StartAsync(clock);
        using var tenant = await TestTenant.CreateAsync(node.Environment);
        var statements = new ChargebackNode(node.Environment, clock);
        var charge = await UnresolvedNode.CallAsync(tenant);
        clock.SetUtcNow(ChargebackNode.May);
        var april = await statements.OrderAsync(new { tenantId = tenant.Id, period = "2026-04" });
        Assert.Equal(("FINAL", 1), (Text(april, "status"), april.GetProperty("unresolvedRequests").GetInt64()));

        var line = await node.ResolveAsync(charge, Figures);

        Assert.Equal("2026-05", Text(Assert.Single(line.GetProperty("revisions").EnumerateArray()), "billingMonth"));
        Assert.Equal(april.GetRawText(), (await statements.GetAsync("/" + Text(april, "id"))).GetRawText());
        var may = await statements.OrderAsync(new { tenantId = tenant.Id, period = "2026-05" });
        var adjustment = Assert.Single(may.GetProperty("adjustments").EnumerateArray());
        Assert.Equal(("RESOLUTION", "2026-04"), (Text(adjustment, "kind"), Text(adjustment, "usagePeriod")));
        Assert.Equal(0.007m, may.GetProperty("totalUsd").GetDecimal());
        Assert.Equal(("PROVISIONAL", -1), (Text(may, "status"), may.GetProperty("unresolvedRequests").GetInt64()));
    }

    [Fact]
    public async Task Charge_IsSettledByWhoMayWriteItsTenantsCosts()
    {
        var charge = await CallAsync();
        var other = await _node.Environment.MakeTenantAsync(new { name = "Other" });
        using var viewer = await _node.Environment.ClientAsync(new { name = "viewer", role = "viewer" });
        using var foreign = await _node.Environment.ClientAsync(new { name = "foreign", role = "billing", tenantId = Text(other, "id") });
        using var own = await _node.Environment.ClientAsync(new { name = "own", role = "billing", tenantId = _tenant.Id });

        await _node.ResolveAsync(charge, Figures, HttpStatusCode.Unauthorized, _node.Environment.Client);
        Assert.Equal("missing_scope", Text(await _node.ResolveAsync(charge, Figures, HttpStatusCode.Forbidden, viewer), "code"));
        var unseen = await _node.ResolveAsync(charge, Figures, HttpStatusCode.NotFound, foreign);
        foreach (var id in new[] { Guid.NewGuid().ToString(), "1", "none" })
        {
            var unknown = await UnresolvedNode.ResolveAsync(_node.Environment.Admin, id, Figures, HttpStatusCode.NotFound);
            Assert.Equal((Text(unseen, "code"), Text(unseen, "message")), (Text(unknown, "code"), Text(unknown, "message")));
        }

        AssertFigures(await _node.ResolveAsync(charge, Figures, client: own), "SETTLED", input: 1000, output: 500, cost: 0.007m);
    }

    [Theory]
    [InlineData("{}", "inputTokens,outputTokens")]
    [InlineData("""{"billed":true}""", "inputTokens,outputTokens")]
    [InlineData("""{"billed":null,"inputTokens":1}""", "outputTokens")]
    [InlineData("""{"billed":false,"inputTokens":0,"reasoningTokens":1}""", "inputTokens,reasoningTokens")]
    [InlineData("""{"billed":"no","inputTokens":1,"outputTokens":1}""", "billed")]
    [InlineData("""{"inputTokens":-1,"outputTokens":1}""", "inputTokens")]
    [InlineData("""{"inputTokens":1.5,"outputTokens":1}""", "inputTokens")]
    [InlineData("""{"inputTokens":"1","outputTokens":1}""", "inputTokens")]
    [InlineData("""{"inputTokens":1,"outputTokens":1000000001}""", "outputTokens")]
    [InlineData("""{"inputTokens":1,"outputTokens":99999999999999999999}""", "outputTokens")]
    [InlineData("""{"inputTokens":10,"cachedInputTokens":6,"cacheWriteTokens":5,"outputTokens":1}""", "inputTokens")]
    [InlineData("""{"inputTokens":10,"outputTokens":1,"reasoningTokens":2}""", "outputTokens")]
    [InlineData("""{"inputTokens":10,"outputTokens":1,"totalCostUsd":2}""", "totalCostUsd")]
    [InlineData("""{"input_tokens":10,"prompt_tokens":1}""", "outputTokens,promptTokens")]
    public async Task Order_ThatIsNone_NamesEveryBadField(string body, string fields)
    {
        var charge = await CallAsync();

        var error = await _node.ResolveAsync(charge, body, HttpStatusCode.BadRequest);

        Assert.Equal("validation_error", Text(error, "code"));
        Assert.Equal(fields.Split(','), error.GetProperty("errors").EnumerateArray().Select(e => Text(e, "field")));
        Assert.Equal(charge.GetRawText(), (await _node.ReadAsync(charge)).GetRawText());
    }

    [Fact]
    public async Task Note_OfFiveHundredCharacters_IsTaken_AndOneMoreIsNot()
    {
        var charge = await CallAsync();
        var note = string.Concat(Enumerable.Repeat("é\"\n\0<😀", 71)) + "abc";
        Assert.Equal(500, note.Length);

        await _node.ResolveAsync(charge, new { billed = false, note = note + "d" }, HttpStatusCode.BadRequest);
        await _node.ResolveAsync(charge, new { billed = false, note });

        Assert.Equal(note, Text(Assert.Single(await _node.EventsAsync(_tenant, "CHARGE_RESOLVED")).GetProperty("payload"), "note"));
    }

    [Fact]
    public async Task Amount_ThatFitsNoRow_Is400()
    {
        await PriceAsync(_node, "dear-model", input: 1_000_000, from: "2026-04-01T00:00:00Z");
        var charge = await CallAsync("openai/dear-model");

        await _node.ResolveAsync(charge, new { inputTokens = 1_000_000_000, outputTokens = 1 }, HttpStatusCode.BadRequest);

        AssertFigures(await _node.ResolveAsync(charge, new { inputTokens = 1_000_000, outputTokens = 0 }), "SETTLED", input: 1_000_000, output: 0, cost: 1_000_000m);
    }

    private Task<JsonElement> CallAsync(string model = "gpt-4o") => UnresolvedNode.CallAsync(_tenant, model);

    private static void AssertFigures(JsonElement line, string state, long input, long output, decimal cost)
    {
        Assert.Equal(
            (state, input, output, cost, 0m),
            (Text(line, "state"), line.GetProperty("inputTokens").GetInt64(), line.GetProperty("outputTokens").GetInt64(),
                line.GetProperty("totalCostUsd").GetDecimal(), line.GetProperty("unresolvedLowerBoundUsd").GetDecimal()));
    }

    private static void AssertSummary(JsonElement sums, long requests, long input, long output, decimal cost)
    {
        Assert.Equal(
            (requests, input, output, cost, 0L, 0m),
            (sums.GetProperty("requestCount").GetInt64(), sums.GetProperty("inputTokens").GetInt64(), sums.GetProperty("outputTokens").GetInt64(),
                sums.GetProperty("totalCostUsd").GetDecimal(), sums.GetProperty("unresolvedRequests").GetInt64(),
                sums.GetProperty("unresolvedLowerBoundUsd").GetDecimal()));
    }

    private static async Task PriceAsync(UnresolvedNode node, string model, int input, string from, string? to = null)
    {
        using var made = await node.Environment.Admin.PostAsJsonAsync(
            "/v1/admin/pricing",
            new { provider = "openai", model, inputPerMillionUsd = input, outputPerMillionUsd = 0, effectiveFrom = from, effectiveTo = to },
            TestContext.Current.CancellationToken);
        Assert.True(made.StatusCode == HttpStatusCode.Created, await made.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;

    /// <summary>It stands in April; what moves its clock has a node of its own.</summary>
    public sealed class Node : IAsyncLifetime
    {
        internal UnresolvedNode Unresolved { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Unresolved = await UnresolvedNode.StartAsync(new StepClock(ChargebackNode.April));

        public ValueTask DisposeAsync() => Unresolved.DisposeAsync();
    }
}
