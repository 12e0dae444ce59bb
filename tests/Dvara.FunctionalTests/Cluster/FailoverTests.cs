using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.FunctionalTests.Faults;
using Dvara.Server.Metering;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>A database that lost its last commits, that is away, that has no standby, or that is not the one this program knows.</summary>
[Collection(Alone.Name)]
public sealed class FailoverTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Revocation_AfterTheDatabaseLostItsLastChanges_ActsOnEverySilo()
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 2);
        var (tenant, key) = await DrillLoad.NewKeyAsync(cluster.Nodes[0].Admin);
        for (var lost = 0; lost < 4; lost++)
        {
            await DrillLoad.NewKeyAsync(cluster.Nodes[0].Admin);
        }

        foreach (var node in cluster.Nodes)
        {
            await node.Services.GetRequiredService<ChangeFeed>().CatchUpAsync(CancellationToken.None);
            Assert.Equal(HttpStatusCode.OK, await CallAsync(node.Client, key));
        }

        await ExecuteAsync(cluster.Database, "DELETE FROM changes WHERE number > 2; UPDATE change_counter SET value = 2");
        var keys = await cluster.Nodes[0].Admin.GetFromJsonAsync<JsonNode>($"/v1/admin/tenants/{tenant}/keys");
        using var revoked = await cluster.Nodes[0].Admin.PostAsync($"/v1/admin/tenants/{tenant}/keys/{keys!["items"]![0]!["id"]}/revoke", null);
        Assert.Equal(HttpStatusCode.OK, revoked.StatusCode);

        using var patience = new CancellationTokenSource(Patience);
        while (await CallAsync(cluster.Nodes[1].Client, key) != HttpStatusCode.Unauthorized)
        {
            await cluster.Nodes[1].Services.GetRequiredService<ChangeFeed>().CatchUpAsync(patience.Token);
        }

        Assert.Equal(HttpStatusCode.Unauthorized, await CallAsync(cluster.Nodes[0].Client, key));
    }

    [Theory]
    [InlineData("DELETE FROM journals")]
    [InlineData("UPDATE journals SET epoch = 0, shipped_through = 0, digest = NULL")]
    public async Task Ledger_ThatForgotTheSilo_KnowsItAgain(string loss)
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 1);
        var node = cluster.Nodes[0];
        var (tenant, key) = await DrillLoad.NewKeyAsync(node.Admin);
        Assert.Equal(HttpStatusCode.OK, await CallAsync(node.Client, key));
        var writer = node.Services.GetRequiredService<LedgerWriter>();
        await writer.FlushAsync(CancellationToken.None);
        await ExecuteAsync(cluster.Database, $"ALTER TABLE charges DISABLE TRIGGER ALL; DELETE FROM charges; DELETE FROM journal_batches; DELETE FROM rollup_hours; DELETE FROM rollup_minutes; {loss}");

        Assert.Equal(HttpStatusCode.OK, await CallAsync(node.Client, key));
        using var patience = new CancellationTokenSource(Patience);
        await writer.FlushAsync(patience.Token);

        Assert.Equal(2, (await DrillLoad.ReadLinesAsync(node.Admin, tenant)).Count);
    }

    [Fact]
    public async Task Commit_WithoutItsStandby_IsNotSuccess()
    {
        await using var server = await PostgresServer.StartAsync();
        await using var pools = new PostgresPools(server.ConnectionString);
        await PostgresMigrator.MigrateAsync(pools, CancellationToken.None);
        await ExecuteAsync(server.ConnectionString, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()");
        await using var database = new PostgresDatabase(pools);

        var write = database.WriteAsync(WriteLane.Admin, t => t.Connection!.ExecuteAsync("UPDATE change_counter SET value = 7", transaction: t), CancellationToken.None);
        // What a timeout of ours, of the server or an operator does to the wait.
        const string cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        await Await.TrueAsync(
            async () =>
            {
                await ExecuteAsync(server.ConnectionString, cancel);
                return write.IsCompleted;
            },
            "the wait for the standby to be cancelled");

        var exception = await Assert.ThrowsAsync<CommitUnconfirmedException>(() => write);
        Assert.True(Database.IsAway(exception));
    }

    [Fact]
    public async Task Node_WhoseDatabaseIsAway_Answers503()
    {
        await using var server = await PostgresServer.StartAsync();
        var folder = Directory.CreateTempSubdirectory("dvara-away-").FullName;
        await using (var node = await GatewayProcess.StartAsync(folder, new Dictionary<string, string?>
        {
            ["DVARA_POSTGRES"] = server.ConnectionString,
            ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey,
            ["DVARA_ADVERTISED_IP"] = "127.0.0.1",
            ["Dvara:Hosting:LeaveSeconds"] = "0",
        }))
        {
            var (_, key) = await DrillLoad.NewKeyAsync(node.Admin);
            using var client = new HttpClient { BaseAddress = node.BaseAddress };
            Assert.Equal(HttpStatusCode.OK, await CallAsync(client, key));
            await server.StopAsync();

            using (var read = await node.Admin.GetAsync(new Uri(node.BaseAddress, "/v1/admin/journals")))
            {
                await ExpectAwayAsync(read);
            }

            using (var write = await node.Admin.PostAsJsonAsync(new Uri(node.BaseAddress, "/v1/admin/tenants"), new { name = "x" }))
            {
                await ExpectAwayAsync(write);
            }

            // Without it Orleans would take two minutes to give its membership up.
            await server.StartAgainAsync();
            using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
            Assert.Equal(0, await node.TerminateAsync(patience.Token));
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Node_WhoseDatabaseTakesNoWrites_Answers503()
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 1);
        var node = cluster.Nodes[0];
        var name = new NpgsqlConnectionStringBuilder(cluster.Database).Database;
        // As a standby that is not promoted yet: who connects may read.
        var cut = $"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()";
        await ExecuteAsync(cluster.Database, $"ALTER DATABASE {name} SET default_transaction_read_only = on", cut);

        // More than the pool has connections: the first ones find that theirs was cut.
        for (var tries = 0; tries < 15; tries++)
        {
            using var write = await node.Admin.PostAsJsonAsync("/v1/admin/tenants", new { name = "x" });
            await ExpectAwayAsync(write);
        }

        await ExecuteAsync(cluster.Database, "SET default_transaction_read_only = off", $"ALTER DATABASE {name} RESET default_transaction_read_only", cut);
        await Await.TrueAsync(
            async () =>
            {
                using var again = await node.Admin.PostAsJsonAsync("/v1/admin/tenants", new { name = "x" });
                return again.StatusCode == HttpStatusCode.Created;
            },
            "writes to be taken again");
    }

    [Fact]
    public async Task Server_ThatDoesNotFlush_IsRefused()
    {
        await using var server = await PostgresServer.StartAsync();
        await ExecuteAsync(server.ConnectionString, "ALTER SYSTEM SET fsync = off");
        await server.StopAsync();
        await server.StartAgainAsync();
        await using var pools = new PostgresPools(server.ConnectionString);

        var refusal = await Assert.ThrowsAsync<MigrationException>(() => PostgresMigrator.PrepareAsync(pools, CancellationToken.None));

        Assert.Contains("fsync is off", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Schema_ThatIsNewer_IsRefused()
    {
        var database = await TestPostgres.NewDatabaseAsync();
        await using (var pools = new PostgresPools(database))
        {
            await PostgresMigrator.PrepareAsync(pools, CancellationToken.None);
            await ExecuteAsync(database, "INSERT INTO schemaversions (scriptname, applied) VALUES ('0099_future.sql', now())");

            var start = await Assert.ThrowsAsync<MigrationException>(() => PostgresMigrator.PrepareAsync(pools, CancellationToken.None));
            var migrate = await Assert.ThrowsAsync<MigrationException>(() => PostgresMigrator.MigrateAsync(pools, CancellationToken.None));

            Assert.Contains("newer than this program: it has the migration 0099_future.sql", start.Message, StringComparison.Ordinal);
            Assert.Equal(start.Message, migrate.Message);
        }

        await TestPostgres.DropAsync(database);
    }

    private static async Task ExpectAwayAsync(HttpResponseMessage answer)
    {
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("ledger_unavailable", (string)(await answer.Content.ReadFromJsonAsync<JsonNode>())!["error"]!["code"]!);
        Assert.NotNull(answer.Headers.RetryAfter);
    }

    private static async Task ExecuteAsync(string database, params string[] statements)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(database) { Pooling = false }.ToString());
        await connection.OpenAsync();
        foreach (var statement in statements)
        {
            await connection.ExecuteAsync(statement);
        }
    }

    private static async Task<HttpStatusCode> CallAsync(HttpClient client, string key)
    {
        using var call = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Headers = { Authorization = new("Bearer", key) },
            Content = JsonContent.Create(new { model = "mock/gpt-4o", messages = new[] { new { role = "user", content = "Hi" } } }),
        };
        using var answer = await client.SendAsync(call);
        return answer.StatusCode;
    }
}
