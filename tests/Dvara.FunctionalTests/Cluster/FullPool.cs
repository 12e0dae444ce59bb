using Dapper;
using Npgsql;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>Takes every connection that a pool may have, and keeps the server busy on each.</summary>
internal sealed class FullPool : IAsyncDisposable
{
    private readonly CancellationTokenSource _end = new();
    private readonly IReadOnlyList<NpgsqlConnection> _connections;
    private readonly Task _work;

    private FullPool(IReadOnlyList<NpgsqlConnection> connections)
    {
        _connections = connections;
        _work = Task.WhenAll(connections.Select(WorkAsync));
    }

    public static async Task<FullPool> FillAsync(NpgsqlDataSource pool)
    {
        var size = new NpgsqlConnectionStringBuilder(pool.ConnectionString).MaxPoolSize;
        return new(await Task.WhenAll(Enumerable.Range(0, size).Select(_ => pool.OpenConnectionAsync().AsTask())));
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _work;
        foreach (var connection in _connections)
        {
            await connection.DisposeAsync();
        }

        _end.Dispose();
    }

    /// <summary>Statement after statement, each short enough for any pool's bound.</summary>
    private async Task WorkAsync(NpgsqlConnection connection)
    {
        do
        {
            await connection.ExecuteAsync("SELECT pg_sleep(0.1)");
        }
        while (!_end.IsCancellationRequested);
    }
}
