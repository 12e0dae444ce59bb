using Dvara.Testing;
using Xunit;

namespace Dvara.StressTests;

public sealed class KillTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Gateway_Killed300TimesUnderLoad_LosesAndDoublesNothing()
    {
        using var drill = new KillDrill(kills: 300, seed: Environment.TickCount);

        var report = await drill.RunAsync();

        output.WriteLine(report.ToString());
        Assert.Empty(report.Violations);
    }
}
