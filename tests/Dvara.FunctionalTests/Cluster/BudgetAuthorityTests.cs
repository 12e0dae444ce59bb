using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>Who decides on a cap where its grain is doubled, or nobody can be asked.</summary>
public sealed class BudgetAuthorityTests
{
    private const decimal Cost = 0.0075m;
    private const string Call =
        """{"model":"mock/gpt-4o","messages":[{"role":"user","content":"Hi"}],"metadata":{"mock":{"prompt_tokens":"1000","completion_tokens":"500"}}}""";

    /// <summary>Two clusters on one database: each has an activation of the tenant's grain, and neither knows of the other.</summary>
    [Fact]
    public async Task TwoActivationsOfOneGrain_GrantNoMoreThanOne()
    {
        var database = await TestPostgres.NewDatabaseAsync();
        await using var left = await StartAsync(database, "left");
        await using var right = await StartAsync(database, "right");
        using var tenant = await TestTenant.CreateAsync(left);
        var budget = await left.Admin.MakeBudgetAsync(20 * Cost, new() { ["tenantId"] = tenant.Id, ["holdWaitMs"] = 0 });
        using var other = new HttpClient { BaseAddress = right.BaseAddress };
        other.DefaultRequestHeaders.Authorization = tenant.Client.DefaultRequestHeaders.Authorization;
        await KnowsAsync(other);
        var statuses = await Task.WhenAll(Enumerable.Range(0, 100).Select(call => CallAsync(call % 2 == 0 ? tenant.Client : other)));
        var admitted = statuses.Count(status => status == HttpStatusCode.OK);
        foreach (var client in (HttpClient[])[tenant.Client, other, tenant.Client])
        {
            while (await CallAsync(client) is HttpStatusCode.OK)
            {
                admitted++;
            }
        }

        Assert.Equal(20, admitted);
        // Each flushes its own journal first.
        await left.Admin.UsageAsync(budget);
        Assert.Equal(20 * Cost, (decimal)(await right.Admin.UsageAsync(budget))["spentUsd"]!);
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
            Assert.Equal(HttpStatusCode.OK, await CallAsync(tenant.Client));
        }

        await postgres.StopAsync();
        var fromTheLease = await CallAsync(tenant.Client);
        using var large = await tenant.PostAsync("/v1/chat/completions", Call.Replace("\"500\"", "\"50000000\"", StringComparison.Ordinal));
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

    /// <summary>The other cluster hears of the cap within a second.</summary>
    private static async Task KnowsAsync(HttpClient client)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (await poll.WaitForNextTickAsync(patience.Token))
        {
            using var answer = await client.GetAsync("/v1/budget", patience.Token);
            if (answer.IsSuccessStatusCode && (await answer.Content.ReadFromJsonAsync<JsonNode>(patience.Token))!["data"]!.AsArray().Count == 1)
            {
                return;
            }
        }
    }

    private static async Task<HttpStatusCode> CallAsync(HttpClient client)
    {
        using var answer = await client.PostAsync("/v1/chat/completions", new StringContent(Call, System.Text.Encoding.UTF8, "application/json"));
        return answer.StatusCode;
    }
}
