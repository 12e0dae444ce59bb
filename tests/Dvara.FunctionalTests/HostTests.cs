using System.Net;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests;

public sealed class HostTests
{
    [Fact]
    public async Task Node_WhenStarted_IsAlive()
    {
        await using var node = await GatewayEnvironment.StartAsync();

        using var answer = await node.Client.GetAsync("/healthz");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task Node_OnADataFolderInUse_RefusesToStart()
    {
        await using var node = await GatewayEnvironment.StartAsync();

        var refusal = await Assert.ThrowsAsync<IOException>(() => GatewayEnvironment.StartAsync(dataDirectory: node.DataDirectory));

        Assert.Contains("in use by another Dvara process", refusal.Message, StringComparison.Ordinal);
    }
}
