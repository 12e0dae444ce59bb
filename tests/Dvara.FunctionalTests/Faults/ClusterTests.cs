using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Faults;

/// <summary>The short form; the stress suite does each many times and longer.</summary>
[Collection(Alone.Name)]
public sealed class ClusterTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Cluster_UnderEveryFault_LosesAndDoublesNothing()
    {
        await using var drill = new ClusterDrill(seed: 20260402);
        await drill.StartAsync();

        foreach (var fault in Enum.GetValues<ClusterFault>())
        {
            await drill.SufferAsync(fault, TimeSpan.FromSeconds(5));
        }

        var report = drill.Report();
        output.WriteLine(report.ToString());
        Assert.Empty(report.Violations);
        Assert.True(report.Answered > 300, report.ToString());
    }
}
