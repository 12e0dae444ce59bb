using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Faults;

[Collection(Alone.Name)]
public sealed class RollingRestartTests(ITestOutputHelper output)
{
    [Fact]
    public async Task RollingRestart_UnderManyOpenStreams_DropsNone()
    {
        await using var drill = new RolloutDrill();
        await drill.StartAsync();

        var report = await drill.RunAsync(streams: 200);

        output.WriteLine(report.ToString());
        Assert.Empty(report.Violations);
        Assert.True(report.Streams > 200, report.ToString());
    }
}
