using System.Data;
using System.Net;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.Server.Metering;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>What keeps a frozen silo, and a frozen server, from holding others up.</summary>
public sealed class PoolsTests : IAsyncLifetime
{
    private string _database = "";
    private PostgresPools _pools = null!;

    public async ValueTask InitializeAsync()
    {
        _database = await TestPostgres.NewEmptyDatabaseAsync();
        _pools = new PostgresPools(_database);
    }

    public async ValueTask DisposeAsync()
    {
        await _pools.DisposeAsync();
        await TestPostgres.DropAsync(_database);
    }

    [Fact]
    public async Task Statements_OfEveryPool_AreBounded()
    {
        Assert.Equal("30s", await ReadAsync(_pools.Api, "statement_timeout"));
        Assert.Equal("1s", await ReadAsync(_pools.LookUps, "statement_timeout"));
        Assert.Equal("2s", await ReadAsync(_pools.Leases, "statement_timeout"));
        Assert.Equal("10s", await ReadAsync(_pools.Ledger, "statement_timeout"));
        Assert.Equal("5s", await ReadAsync(_pools.Orleans, "statement_timeout"));
        foreach (var pool in new[] { _pools.Api, _pools.LookUps, _pools.Leases, _pools.Ledger, _pools.Orleans })
        {
            Assert.Equal("5s", await ReadAsync(pool, "idle_in_transaction_session_timeout"));
        }
    }

    /// <summary>As a process that was frozen within a transaction finds it: before or after the connection's own keep-alive has.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Transaction_ThatItsProcessForgot_IsEndedByTheServer(bool isNoticed)
    {
        await using var database = new PostgresDatabase(_pools);

        var ended = await Assert.ThrowsAnyAsync<Exception>(() => database.WriteAsync(
            WriteLane.Ledger,
            async transaction =>
            {
                var forgotten = transaction.Connection!;
                await forgotten.ExecuteAsync("SELECT pg_advisory_xact_lock(1)", transaction: transaction);

                // Whoever waits for its lock gets it; of the API's pool, whose statements may wait for longer than any machine takes to end it.
                await using var other = await _pools.Api.OpenConnectionAsync();
                await other.ExecuteAsync("SELECT pg_advisory_lock(1)");
                if (isNoticed)
                {
                    await Await.TrueAsync(() => Task.FromResult(forgotten.State != ConnectionState.Open), "the keep-alive to notice");
                }

                return await forgotten.ExecuteAsync("SELECT 1", transaction: transaction);
            },
            TestContext.Current.CancellationToken));

        Assert.True(Database.IsAway(ended), $"{ended}");
    }

    [Fact]
    public async Task Pool_WhoseConnectionsAreAllTaken_HoldsNoOtherUp()
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 1);
        var node = cluster.Nodes[0];
        var pools = node.Services.GetRequiredService<PostgresPools>();
        var writer = node.Services.GetRequiredService<LedgerWriter>();
        var calls = 0;
        foreach (var pool in new[] { pools.Api, pools.Ledger, pools.Orleans })
        {
            using var tenant = await TestTenant.CreateAsync(node);
            await node.Admin.MakeBudgetAsync(1000, new JsonObject { ["tenantId"] = tenant.Id });
            await using (await FullPool.FillAsync(pool))
            {
                // A key that was never seen, under a cap without a lease.
                await CallAsync(tenant);
                Assert.Equal(++calls, await CountAsync("leases"));
                if (pool != pools.Ledger)
                {
                    await FlushAsync();
                    Assert.Equal(calls, await CountAsync("charges"));
                }

                if (pool != pools.Orleans)
                {
                    Assert.NotEmpty((await node.Services.GetRequiredService<IMembershipTable>().ReadAllAsync(CancellationToken.None)).Members);
                }

                if (pool != pools.Api)
                {
                    using var tenants = await node.Admin.GetAsync("/v1/admin/tenants");
                    Assert.Equal(HttpStatusCode.OK, tenants.StatusCode);
                }
            }

            await FlushAsync();
        }

        // On a slow machine the database may answer too late for a call; it is waited for, as a client does.
        static async Task CallAsync(TestTenant tenant)
        {
            var status = HttpStatusCode.ServiceUnavailable;
            await Await.TrueAsync(async () => (status = (await tenant.CallAsync()).Status) != HttpStatusCode.ServiceUnavailable, "the database to answer");
            Assert.Equal(HttpStatusCode.OK, status);
        }

        async Task FlushAsync()
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            await writer.FlushAsync(patience.Token);
        }

        async Task<long> CountAsync(string table)
        {
            await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(cluster.Database) { Pooling = false }.ToString());
            return await connection.QuerySingleAsync<long>($"SELECT count(*) FROM {table}");
        }
    }

    /// <summary>On a connection that another has used before, which is where a setting would be lost.</summary>
    private static async Task<string> ReadAsync(NpgsqlDataSource pool, string setting)
    {
        await using (var first = await pool.OpenConnectionAsync())
        {
            await first.ExecuteAsync("SELECT 1");
        }

        await using var connection = await pool.OpenConnectionAsync();
        return await connection.QuerySingleAsync<string>($"SHOW {setting}");
    }
}
