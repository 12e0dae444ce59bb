using System.Net;
using System.Text.Json.Nodes;
using Dvara.Domain.Metering;
using Dvara.FunctionalTests.Pricing;
using Dvara.Server.Storage;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

public sealed class UnpricedTests
{
    private static readonly DateTimeOffset Noon = PricingNode.Start;

    [Fact]
    public async Task Unpriced_CountsWhatIsStillUnpriced_ByModel()
    {
        await using var node = await PricingNode.StartAsync();
        var repriced = Unpriced(Noon.AddMinutes(9), "b");
        var corrected = Unpriced(Noon.AddMinutes(2), "a");
        await AddAsync(
            node,
            Unpriced(Noon, "a"),
            corrected,
            corrected with { Revision = 1, Kind = RevisionKind.Correction, Usage = new() { UncachedInput = -900 } },
            Unpriced(Noon.AddMinutes(1), "b"),
            repriced,
            repriced with { Revision = 1, Kind = RevisionKind.Reprice, State = ChargeState.Settled, Usage = null },
            SomeCharges.At(Noon, model: "priced"));

        var items = (await node.GetAsync("/unpriced")).Items;

        Assert.Equal(["a", "b"], items.Select(item => item.GetProperty("model").GetString()));
        var a = items[0];
        Assert.Equal("openai", a.GetProperty("provider").GetString());
        Assert.Equal(2, a.GetProperty("requests").GetInt32());
        Assert.Equal(1100, a.GetProperty("inputTokens").GetInt32());
        Assert.Equal(1000, a.GetProperty("outputTokens").GetInt32());
        Assert.Equal(2100, a.GetProperty("tokens").GetInt32());
        Assert.Equal("2026-04-15T12:00:00Z", a.GetProperty("firstSeenAt").GetString());
        Assert.Equal("2026-04-15T12:02:00Z", a.GetProperty("lastSeenAt").GetString());
        Assert.Equal(1, items[1].GetProperty("requests").GetInt32());
    }

    [Fact]
    public async Task Unpriced_InAWindow_OfATenant_AndPaged()
    {
        await using var node = await PricingNode.StartAsync();
        await AddAsync(
            node,
            Unpriced(Noon, "a"),
            Unpriced(Noon.AddMinutes(1), "b", tenant: 1, key: 2),
            Unpriced(Noon.AddMinutes(2), "c"));
        using var narrow = await node.NarrowedAsync(SomeCharges.Tenants[0]);

        Assert.Equal(["b"], Models(await node.GetAsync("/unpriced?from=2026-04-15T12:01:00Z&to=2026-04-15T12:02:00Z")));
        Assert.Equal(["a", "c"], Models(await node.SendAsync(HttpMethod.Get, "/unpriced", client: narrow)));
        (await node.SendAsync(HttpMethod.Get, $"/unpriced?tenantId={SomeCharges.Tenants[1]}", client: narrow)).Refuses(HttpStatusCode.NotFound, "not_found");
        var first = await node.GetAsync("/unpriced?limit=2");
        Assert.Equal(["a", "b"], Models(first));
        var second = await node.GetAsync($"/unpriced?limit=2&cursor={first.Json.GetProperty("nextCursor").GetString()}");
        Assert.Equal(["c"], Models(second));
        Assert.Null(second.Json.GetProperty("nextCursor").GetString());
    }

    [Fact]
    public async Task Unpriced_WhatWasJustAnswered_IsThere()
    {
        // As late as the ledger may be by itself.
        await using var node = await GatewayEnvironment.StartAsync(new Dictionary<string, string?> { ["Dvara:Journal:Gather"] = "00:00:01" });
        using var tenant = await TestTenant.CreateAsync(node);
        using var answer = await tenant.PostAsync("/v1/chat/completions", """{"model":"mock/nobody-priced-me","messages":[{"role":"user","content":"Hi"}]}""");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);

        var items = JsonNode.Parse(await node.Admin.GetStringAsync("/v1/admin/pricing/unpriced"))!["items"]!.AsArray();

        Assert.Equal("nobody-priced-me", (string?)Assert.Single(items)!["model"]);
    }

    private static Charge Unpriced(DateTimeOffset at, string model, int tenant = 0, int key = 0) =>
        SomeCharges.At(at, model: model, tenant: tenant, key: key) with { State = ChargeState.Unpriced, Cost = default, PriceId = null };

    private static Task AddAsync(PricingNode node, params Charge[] charges) =>
        LedgerSeed.AddAsync(node.Service<Database>(), charges, Noon.AddHours(1));

    private static string?[] Models(PricingNode.Answer answer) => [.. answer.Items.Select(item => item.GetProperty("model").GetString())];
}
