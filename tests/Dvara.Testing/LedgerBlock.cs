using System.Data.Common;

namespace Dvara.Testing;

/// <summary>While it stands everybody can read a node's ledger and nobody can write it.</summary>
public sealed class LedgerBlock : IAsyncDisposable
{
    private readonly DbConnection _connection;
    private readonly DbTransaction _transaction;

    private LedgerBlock(DbConnection connection, DbTransaction transaction) => (_connection, _transaction) = (connection, transaction);

    public static async Task<LedgerBlock> PutUpAsync(GatewayEnvironment node)
    {
        var connection = await node.ConnectAsync();
        var transaction = await connection.BeginTransactionAsync();
        await using var command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = TestPostgres.IsEngine ? "LOCK TABLE charges IN SHARE MODE" : "UPDATE installation SET value = value";
        await command.ExecuteNonQueryAsync();
        return new(connection, transaction);
    }

    public async ValueTask DisposeAsync()
    {
        await _transaction.DisposeAsync();
        await _connection.DisposeAsync();
    }
}
