using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>Who decides on a cap where its grain is doubled, or nobody can be asked.</summary>
public sealed class BudgetAuthorityTests
{
    /// <summary>Two clusters on one database: each has an activation of the tenant's grain, and neither knows of the other.</summary>
    [Fact]
    public async Task TwoActivationsOfOneGrain_GrantNoMoreThanOne()
    {
        var database = await TestPostgres.NewDatabaseAsync();
        await using var left = await StartAsync(database, "left");
        await using var right = await StartAsync(database, "right");
        using var tenant = await TestTenant.CreateAsync(left);
        var budget = await left.Admin.MakeBudgetAsync(20 * MockCall.Cost, new() { ["tenantId"] = tenant.Id, ["holdWaitMs"] = 0 });
        using var other = new HttpClient { BaseAddress = right.BaseAddress };
        other.DefaultRequestHeaders.Authorization = tenant.Client.DefaultRequestHeaders.Authorization;
        await other.AwaitBudgetsAsync(MockCall.Body, 1);
        var ends = await Task.WhenAll(Enumerable.Range(0, 100).Select(call => (call % 2 == 0 ? tenant.Client : other).CallAsync()));
        var admitted = ends.Count(end => end.Status == HttpStatusCode.OK);
        foreach (var client in (HttpClient[])[tenant.Client, other, tenant.Client])
        {
            while (admitted <= 20 && await client.CallAsync() is (HttpStatusCode.OK, _))
            {
                admitted++;
            }
        }

        Assert.Equal(20, admitted);
        // Each flushes its own journal first.
        await left.Admin.UsageAsync(budget);
        Assert.Equal(20 * MockCall.Cost, (decimal)(await right.Admin.UsageAsync(budget))["spentUsd"]!);
    }

    [Fact]
    public async Task DatabaseAway_ALeaseServesOn_AndWhatNeedsMoreIs503()
    {
        await using var postgres = await PostgresServer.StartAsync();
        await using var node = await StartAsync(postgres.ConnectionString, "dvara");
        using var tenant = await TestTenant.CreateAsync(node);
        await node.Admin.MakeBudgetAsync(1000, new() { ["tenantId"] = tenant.Id });
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await tenant.CallAsync()).Status);
        }

        await postgres.StopAsync();
        var (fromTheLease, _) = await tenant.CallAsync();
        using var large = await tenant.PostAsync("/v1/chat/completions", MockCall.Body.Replace("\"500\"", "\"50000000\"", StringComparison.Ordinal));
        await postgres.StartAgainAsync();

        Assert.Equal(HttpStatusCode.OK, fromTheLease);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, large.StatusCode);
        Assert.Equal("ledger_unavailable", (string?)(await large.Content.ReadFromJsonAsync<JsonNode>())!["error"]!["code"]);
    }

    private static Task<GatewayEnvironment> StartAsync(string database, string cluster) => GatewayEnvironment.StartAsync(new Dictionary<string, string?>
    {
        ["DVARA_POSTGRES"] = database,
        ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey,
        ["DVARA_ADVERTISED_IP"] = "127.0.0.1",
        ["DVARA_CLUSTER_ID"] = cluster,
    });
}
