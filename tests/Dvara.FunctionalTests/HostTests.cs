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

    [Theory]
    [InlineData("Dvara__Journal__QueueMax", "0", "Dvara:Journal:QueueMax is 0. It must be at least 1.")]
    [InlineData("Dvara__Journal__Gather", "soon", "'soon' at 'Dvara:Journal:Gather'")]
    [InlineData("Dvara__Mock__Enabled", "maybe", "Dvara:Mock:Enabled is maybe. It must be true or false.")]
    [InlineData("DVARA_DATA_DIR", "/dev/shm/dvara-host-tests", "does not survive a restart")]
    public async Task Process_ThatCannotStart_SaysWhyInASentence(string name, string value, string expected)
    {
        var folder = Directory.CreateTempSubdirectory("dvara-host-").FullName;
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => GatewayProcess.StartAsync(
            folder, new Dictionary<string, string?> { ["DVARA_ACCEPT_LOSS"] = null, [name] = value }));

        Assert.Contains("ended with 1", failure.Message, StringComparison.Ordinal);
        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("Unhandled exception", failure.Message, StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData("mock/gpt-4o")]
    [InlineData("mock%2Fgpt-4o")]
    [InlineData("mock%2fgpt-4o")]
    public async Task Model_ThatIsListed_IsFoundByItsId(string id)
    {
        await using var node = await GatewayEnvironment.StartAsync();
        var (_, key) = await DrillLoad.NewKeyAsync(node.Admin);
        node.Client.DefaultRequestHeaders.Authorization = new("Bearer", key);

        using var answer = await node.Client.GetAsync($"/v1/models/{id}");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Contains("\"id\":\"mock/gpt-4o\"", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }
}
