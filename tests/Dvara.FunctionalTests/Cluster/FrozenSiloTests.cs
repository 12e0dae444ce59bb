using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Dvara.FunctionalTests.Faults;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>A silo that hangs, and takes its grains along until the others give it up.</summary>
[Collection(Alone.Name)]
public sealed class FrozenSiloTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Statement_OfAGrainOnAFrozenSilo_IsMadeByAnother()
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 1);
        var admin = cluster.Nodes[0].Admin;
        var folder = Directory.CreateTempSubdirectory("dvara-frozen-").FullName;
        await using (var silo = await GatewayProcess.StartAsync(folder, new Dictionary<string, string?>
        {
            ["DVARA_POSTGRES"] = cluster.Database,
            ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey,
            ["DVARA_ADVERTISED_IP"] = "127.0.0.1",
        }))
        {
            // So many that some of their grains are on either silo.
            var tenants = new List<string>();
            for (var tenant = 0; tenant < 16; tenant++)
            {
                tenants.Add((await DrillLoad.NewKeyAsync(admin)).Tenant);
                Assert.Equal(HttpStatusCode.Created, await StatementAsync(admin, tenants[^1], CancellationToken.None));
            }

            silo.Freeze();
            using var patience = new CancellationTokenSource(Patience);
            HttpStatusCode[] answers;
            do
            {
                answers = await Task.WhenAll(tenants.Select(tenant => StatementAsync(admin, tenant, patience.Token)));
            }
            while (answers.Contains(HttpStatusCode.ServiceUnavailable));
        }

        Directory.Delete(folder, recursive: true);
    }

    private static async Task<HttpStatusCode> StatementAsync(HttpClient admin, string tenant, CancellationToken cancellationToken)
    {
        using var answer = await admin.PostAsJsonAsync(
            "/v1/admin/chargeback", new { tenantId = tenant, from = "2026-01-01T00:00:00Z", to = "2040-01-01T00:00:00Z" }, cancellationToken);
        if (answer.StatusCode != HttpStatusCode.Created)
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
            Assert.Equal("ledger_unavailable", (string)(await answer.Content.ReadFromJsonAsync<JsonNode>(cancellationToken))!["error"]!["code"]!);
            Assert.NotNull(answer.Headers.RetryAfter);
        }

        return answer.StatusCode;
    }
}
