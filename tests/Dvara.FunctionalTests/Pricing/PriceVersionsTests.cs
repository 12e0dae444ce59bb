using System.Net;
using System.Text.Json;
using Xunit;
using static Dvara.FunctionalTests.Pricing.PricingNode;

namespace Dvara.FunctionalTests.Pricing;

public sealed class PriceVersionsTests(SharedPricingNode shared) : IClassFixture<SharedPricingNode>
{
    private readonly PricingNode _node = shared.Node;

    [Fact]
    public async Task FirstPrice_ActsAtOnce_AndIsReadBackAsWritten()
    {
        const string Model = "first";
        Assert.Null(_node.InputRate(Model, _node.Now));

        var made = (await _node.PostAsync(Price(
            Model, "0.000001", ("cachedInputPerMillionUsd", 0.1m), ("perRequestUsd", "0.000000000001"), ("maxOutputTokens", 4096),
            ("sourceUrl", "https://example.com/prices"), ("checkedOn", "2026-04-01")))).Is(HttpStatusCode.Created);

        Assert.Equal(0.000001m, _node.InputRate(Model, _node.Now));
        Assert.Equal($"{PricingNode.Path}/{made.Id}", made.Location);
        var read = (await _node.GetAsync($"/{made.Id}")).Is(HttpStatusCode.OK);
        Assert.Equal(made.Text, read.Text);
        Assert.Equal(made.ETag, read.ETag);
        Assert.Contains("\"inputPerMillionUsd\":0.000001,", read.Text, StringComparison.Ordinal);
        Assert.Contains("\"perRequestUsd\":0.000000000001,", read.Text, StringComparison.Ordinal);
        Assert.Equal("2026-04-15T12:00:00Z", read.Instant("effectiveFrom"));
        Assert.Equal("CUSTOM", read.Instant("source"));
        Assert.Equal("2026-04-01", read.Instant("checkedOn"));
        foreach (var absent in new[] { "cacheWritePerMillionUsd", "reasoningPerMillionUsd", "effectiveTo", "tenantId" })
        {
            Assert.Equal(JsonValueKind.Null, read.Json.GetProperty(absent).ValueKind);
        }
    }

    [Fact]
    public async Task Update_ByPutOrByPost_ActsInFiveSeconds_AndLeavesTheRunningVersionAsItWas()
    {
        await using var node = await PricingNode.StartAsync();
        var first = (await node.PostAsync(Price(input: 1))).Is(HttpStatusCode.Created);
        node.Clock.Advance(TimeSpan.FromMinutes(1));
        var change = node.Now.AddSeconds(5);

        var second = (await node.SendAsync(HttpMethod.Put, $"/{first.Id}", Price(input: 2))).Is(HttpStatusCode.OK);

        Assert.NotEqual(first.Id, second.Id);
        Assert.Equal("2026-04-15T12:01:05Z", second.Instant("effectiveFrom"));
        Assert.Equal(1, node.InputRate("house-model", change.AddMilliseconds(-1)));
        Assert.Equal(2, node.InputRate("house-model", change));
        var ended = await node.GetAsync($"/{first.Id}");
        Assert.Equal("2026-04-15T12:01:05Z", ended.Instant("effectiveTo"));
        Assert.Equal(1, ended.Json.GetProperty("inputPerMillionUsd").GetDecimal());
        Assert.NotEqual(first.ETag, ended.ETag);

        node.Clock.Advance(TimeSpan.FromMinutes(1));
        var third = (await node.PostAsync(Price(input: 3))).Is(HttpStatusCode.Created);

        Assert.Equal("2026-04-15T12:02:05Z", third.Instant("effectiveFrom"));
        Assert.Equal(2, node.InputRate("house-model", node.Now.AddMilliseconds(4999)));
        Assert.Equal(3, node.InputRate("house-model", node.Now.AddSeconds(5)));
    }

    [Theory]
    [InlineData("PUT")]
    [InlineData("POST")]
    public async Task Update_AMillisecondTooEarly_IsRefusedAndSaysTheEarliest(string method)
    {
        var model = "early-" + method;
        var first = await _node.PostAsync(Price(model, 1));
        var rest = method == "PUT" ? $"/{first.Id}" : "";

        var early = await _node.SendAsync(new(method), rest, Price(model, 2, ("effectiveFrom", "2026-04-15T12:00:04.999Z")));
        var message = early.Refuses(HttpStatusCode.BadRequest, "validation_error", "effectiveFrom");

        Assert.Contains("5 seconds", message, StringComparison.Ordinal);
        Assert.Contains("2026-04-15T12:00:05Z", message, StringComparison.Ordinal);
        Assert.Equal(1, _node.InputRate(model, _node.Now.AddDays(1)));
        Assert.True((int)(await _node.SendAsync(new(method), rest, Price(model, 2, ("effectiveFrom", "2026-04-15T12:00:05Z")))).Status < 300);
        Assert.Equal(2, _node.InputRate(model, _node.Now.AddDays(1)));
    }

    [Fact]
    public async Task FirstPrice_MayReachBack_ForUsageThatWaitsForIt()
    {
        const string Model = "reaching-back";

        (await _node.PostAsync(Price(Model, 1, ("effectiveFrom", "2026-04-01T00:00:00+02:00")))).Is(HttpStatusCode.Created);

        Assert.Equal(1, _node.InputRate(Model, new(2026, 3, 31, 22, 0, 0, TimeSpan.Zero)));
        Assert.Null(_node.InputRate(Model, new(2026, 3, 31, 21, 59, 59, TimeSpan.Zero)));
    }

    [Fact]
    public async Task PlannedVersion_CanBeReplacedInPlace_AndWithdrawn_AndThenTheRunningOneGoesOn()
    {
        const string Model = "planned";
        await _node.PostAsync(Price(Model, 1));
        var planned = (await _node.PostAsync(Price(Model, 2, ("effectiveFrom", "2026-05-01T00:00:00Z")))).Is(HttpStatusCode.Created);
        var may = new DateTimeOffset(2026, 5, 1, 0, 0, 0, TimeSpan.Zero);
        Assert.Equal(2, _node.InputRate(Model, may));

        var replaced = (await _node.SendAsync(HttpMethod.Put, $"/{planned.Id}", Price(Model, 3), planned.ETag)).Is(HttpStatusCode.OK);

        Assert.Equal(planned.Id, replaced.Id);
        Assert.Equal("2026-05-01T00:00:00Z", replaced.Instant("effectiveFrom"));
        Assert.Equal(1, _node.InputRate(Model, may.AddMilliseconds(-1)));
        Assert.Equal(3, _node.InputRate(Model, may));
        (await _node.SendAsync(HttpMethod.Delete, $"/{planned.Id}")).Is(HttpStatusCode.NoContent);
        Assert.Equal(1, _node.InputRate(Model, may));
        (await _node.GetAsync($"/{planned.Id}")).Refuses(HttpStatusCode.NotFound, "not_found");
    }

    [Fact]
    public async Task Overlap_WithAPlannedVersion_Is409()
    {
        const string Model = "overlapping";
        var running = await _node.PostAsync(Price(Model, 1));
        await _node.PostAsync(Price(Model, 2, ("effectiveFrom", "2026-05-01T00:00:00Z")));

        (await _node.PostAsync(Price(Model, 3))).Refuses(HttpStatusCode.Conflict, "conflict");
        (await _node.PostAsync(Price(Model, 3, ("effectiveFrom", "2026-05-01T00:00:00Z")))).Refuses(HttpStatusCode.Conflict, "conflict");
        (await _node.SendAsync(HttpMethod.Put, $"/{running.Id}", Price(Model, 3, ("effectiveFrom", "2026-06-01T00:00:00Z"))))
            .Refuses(HttpStatusCode.Conflict, "conflict");
        (await _node.PostAsync(Price(Model, 3, ("effectiveFrom", "2026-04-20T00:00:00Z"), ("effectiveTo", "2026-05-01T00:00:00Z"))))
            .Is(HttpStatusCode.Created);

        Assert.Equal(3, _node.InputRate(Model, new(2026, 4, 30, 0, 0, 0, TimeSpan.Zero)));
        Assert.Equal(2, _node.InputRate(Model, new(2026, 5, 1, 0, 0, 0, TimeSpan.Zero)));
    }

    [Fact]
    public async Task Delete_EndsThePriceInFiveSeconds_AndItsPastStays()
    {
        await using var node = await PricingNode.StartAsync();
        var made = await node.PostAsync(Price(input: 1));

        (await node.SendAsync(HttpMethod.Delete, $"/{made.Id}")).Is(HttpStatusCode.NoContent);
        (await node.SendAsync(HttpMethod.Delete, $"/{made.Id}")).Is(HttpStatusCode.NoContent);

        Assert.Equal("2026-04-15T12:00:05Z", (await node.GetAsync($"/{made.Id}")).Instant("effectiveTo"));
        Assert.Equal(1, node.InputRate("house-model", node.Now.AddMilliseconds(4999)));
        Assert.Null(node.InputRate("house-model", node.Now.AddSeconds(5)));
        node.Clock.Advance(TimeSpan.FromSeconds(5));
        (await node.SendAsync(HttpMethod.Put, $"/{made.Id}", Price(input: 2))).Refuses(HttpStatusCode.Conflict, "conflict");
        (await node.PostAsync(Price(input: 2))).Is(HttpStatusCode.Created);
        Assert.Equal(2, node.InputRate("house-model", node.Now));
    }

    [Fact]
    public async Task StaleETag_Is412_AndChangesNothing()
    {
        const string Model = "stale";
        var first = await _node.PostAsync(Price(Model, 1));
        await _node.PostAsync(Price(Model, 2));

        (await _node.SendAsync(HttpMethod.Put, $"/{first.Id}", Price(Model, 3), first.ETag)).Refuses(HttpStatusCode.PreconditionFailed, "precondition_failed");
        (await _node.SendAsync(HttpMethod.Delete, $"/{first.Id}", ifMatch: first.ETag)).Refuses(HttpStatusCode.PreconditionFailed, "precondition_failed");

        Assert.Equal(2, _node.InputRate(Model, _node.Now.AddDays(1)));
    }

    [Fact]
    public async Task Put_ForAnotherKey_Is400()
    {
        const string Model = "put";
        var first = await _node.PostAsync(Price(Model, 1));

        (await _node.SendAsync(HttpMethod.Put, $"/{first.Id}", Price("other", 1))).Refuses(HttpStatusCode.BadRequest, "validation_error", "model");
        (await _node.SendAsync(HttpMethod.Put, $"/{first.Id}", Price(Model, 1, ("tenantId", Acme.ToString()))))
            .Refuses(HttpStatusCode.BadRequest, "validation_error", "tenantId");
    }

    [Fact]
    public async Task EveryWrite_IsOnTheTrail_AndARefusedOneIsNot()
    {
        await using var node = await PricingNode.StartAsync();
        var made = await node.PostAsync(Price(input: 1, more: ("tenantId", Acme.ToString())));
        node.Clock.Advance(TimeSpan.FromSeconds(1));
        var changed = await node.SendAsync(HttpMethod.Put, $"/{made.Id}", new { inputPerMillionUsd = 2, outputPerMillionUsd = 2 });
        node.Clock.Advance(TimeSpan.FromMinutes(1));
        await node.SendAsync(HttpMethod.Delete, $"/{changed.Id}");
        await node.PostAsync(Price(input: -1));

        using var trail = await node.Admin.GetAsync($"/v1/admin/audit/events?type=PRICING_UPDATED&tenantId={Acme}");

        var events = JsonDocument.Parse(await trail.Content.ReadAsStringAsync()).RootElement.GetProperty("items").EnumerateArray().ToList();
        Assert.Equal(["closed", "changed", "opened"], events.Select(e => e.GetProperty("payload").GetProperty("action").GetString()));
        Assert.Equal(2, events[1].GetProperty("payload").GetProperty("price").GetProperty("inputPerMillionUsd").GetDecimal());
        Assert.Equal("2026-04-15T12:01:06Z", events[0].GetProperty("payload").GetProperty("price").GetProperty("effectiveTo").GetString());
    }
}
