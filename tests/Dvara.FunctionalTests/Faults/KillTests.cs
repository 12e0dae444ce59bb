using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Faults;

/// <summary>The short form; the stress suite kills 300 times.</summary>
[Collection(Alone.Name)]
public sealed class KillTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Gateway_Killed20TimesUnderLoad_LosesAndDoublesNothing()
    {
        using var drill = new KillDrill(kills: 20, seed: 20260401);

        var report = await drill.RunAsync();

        output.WriteLine(report.ToString());
        Assert.Empty(report.Violations);
        Assert.True(report.UpstreamCalls > 100, report.ToString());
    }
}
