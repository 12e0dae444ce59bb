using Dvara.FunctionalTests.Faults;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>The short form; the stress suite makes 1,000 trials.</summary>
[Collection(Alone.Name)]
public sealed class SpreadTests(ITestOutputHelper output)
{
    private const int Trials = 200;
    private const int AtOnce = 10;

    private static readonly TimeSpan Promised = TimeSpan.FromSeconds(1);

    [Fact]
    public async Task Change_OnOneSilo_ActsOnTheOthersWithinASecond()
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 3);
        var drill = new SpreadDrill(cluster);

        for (var trial = 0; trial < Trials; trial += AtOnce)
        {
            // A quarter of the trials have to do without being told.
            if (trial % (4 * AtOnce) == 0)
            {
                await drill.CutListenAsync();
            }

            await Task.WhenAll(Enumerable.Range(trial, AtOnce).Select(drill.RunAsync));
        }

        var delays = drill.Delays.Order().ToList();
        output.WriteLine($"{Trials} trials: median {delays[delays.Count / 2].TotalMilliseconds:F0} ms, worst {delays[^1].TotalMilliseconds:F0} ms");
        Assert.Equal(2 * Trials, delays.Count);
        Assert.True(delays[^1] < Promised, $"{delays[^1]}");
    }
}
