using System.Net;
using System.Text.Json;
using Dvara.FunctionalTests.Chargeback;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

/// <summary>A ledger that does not take what the journal holds: nobody is told that a charge is settled which is not.</summary>
public sealed class ResolveBehindTests : IAsyncLifetime
{
    private static readonly object Figures = new { inputTokens = 1000, outputTokens = 500 };

    private readonly HastyClock _clock = new(ChargebackNode.April);
    private UnresolvedNode _node = null!;

    public async ValueTask InitializeAsync() => _node = await UnresolvedNode.StartAsync(_clock);

    public ValueTask DisposeAsync() => _node.DisposeAsync();

    [Fact]
    public async Task Charge_WhoseResolutionCannotBeShipped_Is503_AndIsSettledLater()
    {
        var charge = await _node.CallAsync();
        await using (await LedgerBlock.PutUpAsync(_node.Environment))
        {
            _clock.IsHasty = true;
            AssertUnavailable(await _node.ResolveAsync(charge, Figures, HttpStatusCode.ServiceUnavailable), "The resolution is kept");
            AssertUnavailable(await _node.ResolveAsync(charge, Figures, HttpStatusCode.ServiceUnavailable), "nothing was settled");
            _clock.IsHasty = false;
        }

        var line = await _node.ReadAsync(charge);
        Assert.Equal("SETTLED", line.GetProperty("state").GetString());
        Assert.Equal(1, line.GetProperty("revisions").GetArrayLength());
        Assert.Single(await _node.EventsAsync("CHARGE_RESOLVED"));
        await _node.ResolveAsync(charge, Figures, HttpStatusCode.Conflict);
    }

    private static void AssertUnavailable(JsonElement error, string message)
    {
        Assert.Equal("ledger_unavailable", error.GetProperty("code").GetString());
        Assert.Contains(message, error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }
}
