using Dapper;
using Dvara.Server.Storage;
using Dvara.Testing;
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

    [Fact]
    public async Task Transaction_ThatItsProcessForgot_IsEndedByTheServer()
    {
        await using var forgotten = await _pools.Ledger.OpenConnectionAsync();
        await using var transaction = await forgotten.BeginTransactionAsync();
        await forgotten.ExecuteAsync("SELECT pg_advisory_xact_lock(1)", transaction: transaction);

        // Whoever waits for its lock gets it.
        await using var other = await _pools.Ledger.OpenConnectionAsync();
        await other.ExecuteAsync("SELECT pg_advisory_lock(1)");

        var ended = await Assert.ThrowsAnyAsync<NpgsqlException>(() => forgotten.ExecuteAsync("SELECT 1", transaction: transaction));
        Assert.True(Database.IsAway(ended));
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
