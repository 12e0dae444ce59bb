using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Faults;

/// <summary>The short form; the stress suite drives ten times as many caps.</summary>
[Collection(Alone.Name)]
public sealed class CapTests(ITestOutputHelper output)
{
    /// <summary>A lease that nobody confirms may be held from for 45 s.</summary>
    private static readonly TimeSpan PastLeases = TimeSpan.FromSeconds(75);

    [Fact]
    public async Task Caps_OnThreeSilosUnderFaults_AreNeverOverrun_AndAreUsedUp()
    {
        await using var drill = new CapDrill(seed: 20260403);
        await drill.StartAsync();

        ClusterFault?[] faults = [null, ClusterFault.KillSilo, ClusterFault.FreezeSilo, ClusterFault.KillPostgres, ClusterFault.KillSilo];
        foreach (var fault in faults)
        {
            await drill.DriveAsync(caps: 20, callsPerCap: 40, fault, PastLeases);
        }

        // All of them across both thresholds of one.
        await drill.DriveAsync(caps: 1, callsPerCap: 200, ClusterFault.KillSilo, PastLeases);

        var report = await drill.ReportAsync();
        output.WriteLine(report.ToString());
        Assert.True(report.Violations.Count == 0, string.Join("\n", report.Violations));
    }
}
