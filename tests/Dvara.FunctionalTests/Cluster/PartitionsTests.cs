using Dapper;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.Logging;
using Npgsql;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>The ledger's partitions: made ahead, and what becomes of a charge that fits none.</summary>
public sealed class PartitionsTests : IAsyncLifetime
{
    private readonly KeptLog<PostgresSchema> _log = new();
    private string _database = "";
    private PostgresPools _pools = null!;

    public async ValueTask InitializeAsync()
    {
        _database = await TestPostgres.NewDatabaseAsync();
        _pools = new PostgresPools(_database);
    }

    public async ValueTask DisposeAsync()
    {
        await _pools.DisposeAsync();
        await TestPostgres.DropAsync(_database);
    }

    [Fact]
    public async Task Partitions_AfterAStart_ReachTwoYearsAhead()
    {
        await ExecuteAsync($"DROP TABLE {await PartitionAsync(23)}, {await PartitionAsync(24)}");

        await StartAsync();

        Assert.True(await ExistsAsync(await PartitionAsync(23)));
        Assert.True(await ExistsAsync(await PartitionAsync(24)));
        Assert.False(await ExistsAsync(await PartitionAsync(25)));
        Assert.Empty(_log.Lines);
    }

    [Fact]
    public async Task Month_WithRowsInTheDefaultPartition_HoldsNothingElseUp()
    {
        await ExecuteAsync($"DROP TABLE {await PartitionAsync(23)}, {await PartitionAsync(24)}");
        await AddChargeAsync(23);

        await StartAsync();

        Assert.False(await ExistsAsync(await PartitionAsync(23)));
        Assert.True(await ExistsAsync(await PartitionAsync(24)));
        Assert.Equal(1, await QueryAsync<long>("SELECT count(*) FROM charges"));
        var alarm = Assert.Single(_log.Lines);
        Assert.Equal(LogLevel.Error, alarm.Level);
        Assert.Contains("charges_beyond is not empty", alarm.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Partitions_ThatCannotBeMade_DoNotKeepASiloFromStarting()
    {
        await ExecuteAsync("DROP FUNCTION make_charge_partitions");

        await StartAsync();

        Assert.Equal(LogLevel.Warning, Assert.Single(_log.Lines).Level);
    }

    private async Task StartAsync()
    {
        await using var database = new PostgresDatabase(_pools);
        using var schema = new PostgresSchema(_pools, database, _log);
        await schema.StartAsync(CancellationToken.None);
        await schema.StopAsync(CancellationToken.None);
    }

    private Task<string> PartitionAsync(int monthsAhead) =>
        QueryAsync<string>($"SELECT 'charges_' || to_char((now() AT TIME ZONE 'UTC') + interval '{monthsAhead} months', 'YYYY_MM')");

    private async Task<bool> ExistsAsync(string table) => await QueryAsync<bool>($"SELECT to_regclass('{table}') IS NOT NULL");

    private Task AddChargeAsync(int monthsAhead) => ExecuteAsync($"""
        INSERT INTO charges (attempt_id, revision, kind, state, request_id, attempt, tenant_id, api_key_id, provider, model, requested_model, endpoint,
            stream, estimated, input_cost_pico_usd, output_cost_pico_usd, lower_bound_pico_usd, tags, at_ms, billing_month, latency_ms, journal_id, journal_seq)
        SELECT first_id_at(now() + interval '{monthsAhead} months'), 0, 'ORIGINAL', 'SETTLED', id, 1, id, id, 'mock', 'm', 'm', '/', 0, 0, 0, 0, 0, '{"{}"}', 0, 0, 0, id, 1
        FROM gen_random_uuid() AS id
        """);

    private async Task ExecuteAsync(string sql)
    {
        await using var connection = await ConnectAsync();
        await connection.ExecuteAsync(sql);
    }

    private async Task<T> QueryAsync<T>(string sql)
    {
        await using var connection = await ConnectAsync();
        return await connection.QuerySingleAsync<T>(sql);
    }

    private async Task<NpgsqlConnection> ConnectAsync()
    {
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(_database) { Pooling = false }.ToString());
        await connection.OpenAsync();
        return connection;
    }
}
