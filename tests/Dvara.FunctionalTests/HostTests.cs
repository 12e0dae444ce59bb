using System.Net;
using System.Text;
using System.Text.Json.Nodes;
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
    [InlineData("Dvara__Journal__QueueMax", "0", "Dvara:Journal:QueueMax is 0. It must be a whole number from 1 to 2147483647.")]
    [InlineData("Dvara__Journal__Gather", "soon", "Dvara:Journal:Gather is soon. It must be a time such as 00:00:00.05")]
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

    [Fact]
    public async Task Process_WithAClockFarAhead_ServesKeys()
    {
        var folder = Directory.CreateTempSubdirectory("dvara-host-").FullName;
        await using (var node = await GatewayProcess.StartAsync(folder, new Dictionary<string, string?> { ["DVARA_CLOCK_START"] = "2099-01-31T10:00:00Z" }))
        {
            var (_, key) = await DrillLoad.NewKeyAsync(node.Admin);
            using var client = new HttpClient { BaseAddress = node.BaseAddress };
            client.DefaultRequestHeaders.Authorization = new("Bearer", key);

            using var answer = await client.PostAsync(
                "/v1/chat/completions", new StringContent("""{"model":"mock/gpt-4o","messages":[{"role":"user","content":"Hi"}]}""", Encoding.UTF8, "application/json"));

            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal(0, await node.TerminateAsync(TestContext.Current.CancellationToken));
        }

        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData("type=TENANT_MADE", "type")]
    [InlineData("type=tenant_created&limit=0", "type,limit")]
    public async Task Audit_AskedForWhatThereIsNot_NamesIt(string query, string fields)
    {
        await using var node = await GatewayEnvironment.StartAsync();

        using var refused = await node.Admin.GetAsync($"/v1/admin/audit/events?{query}");
        var page = JsonNode.Parse(await node.Admin.GetStringAsync("/v1/admin/audit/events"))!;

        var errors = JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!["errors"]!.AsArray();
        Assert.Equal(fields.Split(','), errors.Select(error => (string?)error!["field"]));
        Assert.Equal(("1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"), ((string?)page["from"], (string?)page["to"]));
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
        var trail = JsonNode.Parse(await node.Admin.GetStringAsync("/v1/admin/audit/events?type=GATEWAY_REQUEST"))!["items"]!.AsArray();
        var payload = Assert.Single(trail)!["payload"]!;
        Assert.Equal(("answered", "/v1/models/{id}", 200), ((string?)payload["outcome"], (string?)payload["endpoint"], (int?)payload["status"]));
    }
}
