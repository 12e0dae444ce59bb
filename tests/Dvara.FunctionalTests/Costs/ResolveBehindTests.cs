using System.Net;
using System.Text.Json;
using Dvara.FunctionalTests.Chargeback;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

/// <summary>A ledger that does not take what the journal holds: nobody is told that a charge is settled which is not.</summary>
public sealed class ResolveBehindTests
{
    private static readonly object Figures = new { inputTokens = 1000, outputTokens = 500 };

    [Fact]
    public async Task Charge_WhoseResolutionCannotBeShipped_Is503_AndIsSettledLater()
    {
        var clock = new HastyClock(ChargebackNode.April);
        await using var node = await UnresolvedNode.StartAsync(clock);
        using var tenant = await TestTenant.CreateAsync(node.Environment);
        var charge = await UnresolvedNode.CallAsync(tenant);
        await using (await LedgerBlock.PutUpAsync(node.Environment))
        {
            clock.IsHasty = true;
            AssertUnavailable(await node.ResolveAsync(charge, Figures, HttpStatusCode.ServiceUnavailable), "The resolution is kept");
            AssertUnavailable(await node.ResolveAsync(charge, Figures, HttpStatusCode.ServiceUnavailable), "nothing was settled");
            clock.IsHasty = false;
        }

        var line = await node.ReadAsync(charge);
        Assert.Equal("SETTLED", line.GetProperty("state").GetString());
        Assert.Equal(1, line.GetProperty("revisions").GetArrayLength());
        Assert.Single(await node.EventsAsync(tenant, "CHARGE_RESOLVED"));
        await node.ResolveAsync(charge, Figures, HttpStatusCode.Conflict);
    }

    private static void AssertUnavailable(JsonElement error, string message)
    {
        Assert.Equal("ledger_unavailable", error.GetProperty("code").GetString());
        Assert.Contains(message, error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }
}
