using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Faults;

/// <summary>The short form; the stress suite drives ten times as many caps, and freezes silos past their leases.</summary>
[Collection(Alone.Name)]
public sealed class CapTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Frozen = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task Caps_OnThreeSilosUnderFaults_AreNeverOverrun_AndAreUsedUp()
    {
        await using var drill = new CapDrill(seed: 20260403);
        await drill.StartAsync();

        ClusterFault?[] faults = [null, ClusterFault.KillSilo, ClusterFault.FreezeSilo, ClusterFault.KillPostgres, ClusterFault.KillSilo];
        foreach (var fault in faults)
        {
            await drill.DriveAsync(caps: 20, callsPerCap: 40, fault, Frozen);
        }

        await drill.DriveAsync(caps: 1, callsPerCap: 2_000, fault: null, Frozen);

        // All of them across both thresholds of one.
        await drill.DriveAsync(caps: 1, callsPerCap: 200, ClusterFault.KillSilo, Frozen);

        var report = await drill.ReportAsync();
        output.WriteLine(report.ToString());
        Assert.True(report.Violations.Count == 0, string.Join("\n", report.Violations));
    }
}
