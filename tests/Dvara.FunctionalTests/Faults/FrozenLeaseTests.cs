using Dvara.Server.Budgets;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Faults;

/// <summary>Beside the other tests: nearly all of its time a silo is frozen, and nothing happens.</summary>
public sealed class FrozenLeaseTests(ITestOutputHelper output)
{
    private static readonly TimeSpan PastItsLeases = LeaseAsker.UsableFor + TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Caps_OfASiloFrozenPastItsLeases_AreNeverOverrun_AndAreUsedUp()
    {
        await using var drill = new CapDrill(seed: 20261128);
        await drill.StartAsync();

        await drill.DriveAsync(caps: 10, callsPerCap: 40, ClusterFault.FreezeSilo, PastItsLeases);

        var report = await drill.ReportAsync();
        output.WriteLine(report.ToString());
        Assert.True(report.Violations.Count == 0, string.Join("\n", report.Violations));
    }
}
