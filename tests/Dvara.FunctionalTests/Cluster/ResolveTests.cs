using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dvara.FunctionalTests.Costs;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>One charge, settled at several silos at the same time: each writes its own journal, and the ledger takes one.</summary>
public sealed class ResolveTests
{
    [Fact]
    public async Task Charge_SettledAtThreeSilosAtOnce_IsSettledOnce()
    {
        await using var upstream = await UnresolvedNode.HangsUpAsync();
        await using var cluster = await TestCluster.StartAsync(nodes: 3, upstream.Settings);
        using var tenant = await TestTenant.CreateAsync(cluster.Nodes[0]);
        for (var round = 0; round < 10; round++)
        {
            var id = (await UnresolvedNode.CallAsync(tenant)).GetProperty("id").GetString()!;

            var answers = await Task.WhenAll(cluster.Nodes.Select((node, i) =>
                UnresolvedNode.PostAsync(node.Admin, id, new { inputTokens = 1000, outputTokens = i, note = $"silo {i}" })));

            var won = Assert.Single(answers, answer => answer.StatusCode == HttpStatusCode.OK);
            Assert.Equal(2, answers.Count(answer => answer.StatusCode == HttpStatusCode.Conflict));
            Assert.Equal(
                await won.Content.ReadAsStringAsync(TestContext.Current.CancellationToken),
                (await GetAsync(cluster, $"/v1/admin/costs/{id}")).GetRawText());
            var resolved = (await GetAsync(cluster, $"/v1/admin/audit/events?type=CHARGE_RESOLVED&tenantId={tenant.Id}")).GetProperty("items");
            Assert.Equal(round + 1, resolved.GetArrayLength());
            Assert.Equal($"silo {Array.IndexOf(answers, won)}", resolved[0].GetProperty("payload").GetProperty("note").GetString());
        }
    }

    private static async Task<JsonElement> GetAsync(TestCluster cluster, string path) =>
        await cluster.Nodes[0].Admin.GetFromJsonAsync<JsonElement>(path, TestContext.Current.CancellationToken);
}
