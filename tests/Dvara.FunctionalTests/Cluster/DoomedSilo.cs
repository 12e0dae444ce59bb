using System.Diagnostics;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>
/// A silo in a process of its own, to be killed. The process is this assembly once more, running the one method below and nothing else;
/// it is no test, and a test run leaves it out.
/// </summary>
public sealed class DoomedSilo
{
    private const string Variable = "DVARA_TEST_DOOMED_SILO";

    /// <param name="database">Connection string of the cluster's database.</param>
    internal static Process Start(string database)
    {
        var run = $"{typeof(DoomedSilo).FullName}.{nameof(Run_UntilKilled)}";
        var start = new ProcessStartInfo(
            "dotnet", [Path.Combine(AppContext.BaseDirectory, "Dvara.FunctionalTests.dll"), "-explicit", "only", "-method", run]);
        start.Environment[Variable] = database;
        start.RedirectStandardOutput = true;
        return Process.Start(start)!;
    }

    [Fact(Explicit = true)]
    public async Task Run_UntilKilled()
    {
        await using var node = await ClusterNode.StartAsync(Environment.GetEnvironmentVariable(Variable)!);
        // Should nobody kill it, it does not stay forever.
        await Task.Delay(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
    }
}
