using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Audit;

public sealed class RefusedRequestsTests
{
    private const string Unknown = """{"model":"nobody-knows-me","messages":[{"role":"user","content":"Hi"}]}""";

    [Fact]
    public async Task Requests_RefusedAboveTheRate_AreCountedTogether_AndNoneIsLost()
    {
        var clock = new StepClock(new DateTimeOffset(2026, 4, 10, 12, 0, 0, TimeSpan.Zero));
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        using var tenant = await TestTenant.CreateAsync(node);
        for (var i = 0; i < 60; i++)
        {
            using var refused = await tenant.PostAsync("/v1/chat/completions", Unknown);
        }

        // Another code is counted apart, and so is another minute.
        using var malformed = await tenant.PostAsync("/v1/chat/completions", "{");
        clock.Advance(TimeSpan.FromMinutes(1));
        using var later = await tenant.PostAsync("/v1/chat/completions", Unknown);

        var trail = JsonNode.Parse(await node.Admin.GetStringAsync($"/v1/admin/audit/events?type=GATEWAY_REQUEST&tenantId={tenant.Id}"))!["items"]!.AsArray();
        var (alone, together) = (trail.Where(e => e!["requestId"] is not null).ToList(), trail.Where(e => e!["requestId"] is null).ToList());
        Assert.Equal(12, alone.Count);
        Assert.All(alone, e => Assert.Equal((1, null), ((int)e!["payload"]!["count"]!, (string?)e["payload"]!["lastAt"])));
        // One, unless the buffer was written in between.
        Assert.InRange(together.Count, 1, 49);
        Assert.Equal(50, together.Sum(e => (int)e!["payload"]!["count"]!));
        Assert.All(together, e => Assert.Equal(("model_not_found", "2026-04-10T12:00:00Z"), ((string?)e!["payload"]!["code"], (string?)e["payload"]!["lastAt"])));
    }
}
