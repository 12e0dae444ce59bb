using System.Net;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.Testing;
using Npgsql;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>A cap is made at one silo while the journals of others have charges that the ledger does not: each counts once, before it or after.</summary>
public sealed class CapMadeUnderLoadTests
{
    private const int Silos = 3;

    [Fact]
    public async Task CapMadeWhileSeveralJournalsHoldCharges_CountsEachOnce()
    {
        await using var cluster = await TestCluster.StartAsync(Silos);
        using var tenant = await TestTenant.CreateAsync(cluster.Nodes[0]);
        var clients = cluster.ClientsOf(tenant);
        // The first makes the caps: it ships what it has itself before it does.
        var others = clients[1..];
        await using var connection = new NpgsqlConnection(cluster.Database);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        var budgets = new List<JsonObject>();
        foreach (var isTag in (bool[])[true, false])
        {
            // The journals' batches stand before the cap.
            await HoldBackAsync(connection, async () =>
            {
                await CallAllAsync(others, 5);
                await WaitingAsync(connection, "ShareLock", others.Length);
                var making = MakeAsync(isTag);
                await WaitingAsync(connection, "ExclusiveLock", 1);
                return making;
            });
            // The cap stands before them.
            await HoldBackAsync(connection, async () =>
            {
                var making = MakeAsync(isTag);
                await WaitingAsync(connection, "ExclusiveLock", 1);
                await CallAllAsync(others, 5);
                await WaitingAsync(connection, "ShareLock", others.Length);
                return making;
            });
        }

        // And as it comes.
        using var stop = new CancellationTokenSource();
        var load = clients.SelectMany(client => Enumerable.Range(0, 4).Select(caller => CallUntilAsync(client, caller % 2 == 0 ? MockCall.Body : MockCall.Tagged, stop.Token))).ToList();
        for (var cap = 0; cap < 6; cap++)
        {
            budgets.Add(await MakeAsync(isTag: cap % 2 == 0, at: cap % Silos));
            await CallAllAsync(clients, 2);
        }

        await stop.CancelAsync();
        await Task.WhenAll(load);

        // A silo ships its journal before it answers.
        await Task.WhenAll(cluster.Nodes.Select(node => node.Admin.UsageAsync(budgets[0])));
        var lines = await DrillLoad.ReadLinesAsync(cluster.Nodes[0].Admin, tenant.Id);
        foreach (var budget in budgets)
        {
            var counted = lines.Where(line => budget["tag"] is null || (string?)line["tags"]!["project"] == "apollo").ToList();
            var usage = await cluster.Nodes[0].Admin.UsageAsync(budget);
            Assert.Equal((counted.Sum(line => (decimal)line["totalCostUsd"]!), counted.Count), ((decimal)usage["spentUsd"]!, (int)usage["requestCount"]!));
        }

        async Task HoldBackAsync(NpgsqlConnection keeper, Func<Task<Task<JsonObject>>> meanwhile)
        {
            await keeper.ExecuteAsync("SELECT pg_advisory_lock(4483, 2)");
            Task<JsonObject> making;
            try
            {
                making = await meanwhile();
            }
            finally
            {
                await keeper.ExecuteAsync("SELECT pg_advisory_unlock(4483, 2)");
            }

            budgets.Add(await making);
            // Known and used, so that no call of the next round needs the ledger first.
            await Task.WhenAll(others.Select(client => client.AwaitBudgetsAsync(MockCall.Tagged, budgets.Count)));
            await CallAllAsync(others, 1);
        }

        Task<JsonObject> MakeAsync(bool isTag, int at = 0) => cluster.Nodes[at].Admin.MakeBudgetAsync(1_000, isTag
            ? new() { ["tenantId"] = tenant.Id, ["tag"] = new JsonObject { ["key"] = "project", ["value"] = "apollo" } }
            : new() { ["tenantId"] = tenant.Id, ["apiKeyId"] = tenant.KeyId });
    }

    /// <summary>Ends when so many stand in the queue for the ledger: batches share it, a new cap wants it for itself.</summary>
    private static Task WaitingAsync(NpgsqlConnection connection, string mode, int count) => Await.TrueAsync(
        async () => await connection.QuerySingleAsync<long>(
            """
            SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 4483 AND objid = 2 AND mode = @mode AND NOT granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """,
            new { mode }) >= count,
        $"{count} to wait for a {mode}");

    private static async Task CallUntilAsync(HttpClient client, string call, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await CallAsync(client, call);
        }
    }

    /// <summary>So many of each kind at each silo.</summary>
    private static Task CallAllAsync(HttpClient[] clients, int calls) => Task.WhenAll(
        clients.SelectMany(client => Enumerable.Range(0, 2 * calls).Select(call => CallAsync(client, call % 2 == 0 ? MockCall.Body : MockCall.Tagged))));

    private static async Task CallAsync(HttpClient client, string call)
    {
        Assert.Equal(HttpStatusCode.OK, (await client.CallAsync(call)).Status);
    }
}
