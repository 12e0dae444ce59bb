using Dvara.Testing;
using Xunit;

namespace Dvara.StressTests;

public sealed class ClusterTests(ITestOutputHelper output)
{
    private const int Rounds = 3;

    [Fact]
    public async Task Cluster_UnderEveryFaultAgainAndAgain_LosesAndDoublesNothing()
    {
        await using var drill = new ClusterDrill(seed: Environment.TickCount);
        await drill.StartAsync();

        for (var round = 0; round < Rounds; round++)
        {
            foreach (var fault in Enum.GetValues<ClusterFault>())
            {
                await drill.SufferAsync(fault, TimeSpan.FromSeconds(round % 2 == 0 ? 5 : 30));
            }
        }

        var report = drill.Report();
        output.WriteLine(report.ToString());
        Assert.True(report.Violations.Count == 0, string.Join("\n", report.Violations));
    }

    /// <summary>1,000 caps; silos are frozen for longer than their leases last.</summary>
    [Fact]
    public async Task Caps_UnderFaultsAgainAndAgain_AreNeverOverrun_AndAreUsedUp()
    {
        await using var drill = new CapDrill(seed: Environment.TickCount);
        await drill.StartAsync();

        ClusterFault?[] faults = [null, ClusterFault.KillSilo, ClusterFault.KillPostgres, ClusterFault.FreezeSilo, ClusterFault.KillSilo];
        for (var round = 0; round < 50; round++)
        {
            var fault = faults[round % faults.Length];
            await drill.DriveAsync(caps: 20, callsPerCap: 40, fault, TimeSpan.FromSeconds(round % 25 == 3 ? 90 : 5));
        }

        var report = await drill.ReportAsync();
        output.WriteLine(report.ToString());
        Assert.True(report.Violations.Count == 0, string.Join("\n", report.Violations));
    }

    [Fact]
    public async Task Change_OnOneSilo_ActsOnTheOthersWithinASecond()
    {
        const int trials = 1_000;
        await using var cluster = await TestCluster.StartAsync(nodes: 3);
        var drill = new SpreadDrill(cluster);

        for (var trial = 0; trial < trials; trial += 4)
        {
            if (trial % 16 == 0)
            {
                await drill.CutListenAsync();
            }

            await Task.WhenAll(Enumerable.Range(trial, 4).Select(drill.RunAsync));
        }

        var delays = drill.Delays.Order().ToList();
        output.WriteLine($"{trials} trials: median {delays[delays.Count / 2].TotalMilliseconds:F0} ms, worst {delays[^1].TotalMilliseconds:F0} ms");
        Assert.True(delays[^1] < TimeSpan.FromSeconds(1), $"{delays[^1]}");
    }
}
