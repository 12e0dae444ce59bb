using System.Data;
using System.Data.Common;
using Dapper;
using Npgsql;

namespace Dvara.Server.Storage;

/// <summary>
/// PostgreSQL. Admin writes run one after the other in the whole cluster, as they do in SQLite, so that what a decision has read is still
/// so when it is written; ledger batches run side by side and share a lock, which <see cref="LockLedgerAsync"/> takes for itself.
/// </summary>
internal sealed class PostgresDatabase : Database
{
    private const string LockAdmin = "SELECT pg_advisory_xact_lock(4483, 1)";
    private const string ShareLedger = "SELECT pg_advisory_xact_lock_shared(4483, 2)";
    private const string LockLedger = "SELECT pg_advisory_xact_lock(4483, 2)";

    // Functions that every role may call. The first eight digits of a log file's name are the timeline; a server in recovery has none to say.
    private const string ReadTimeline = "SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM pg_control_system()";

    private readonly PostgresPools _pools;

    public PostgresDatabase(PostgresPools pools)
    {
        DapperTypes.Register();
        _pools = pools;
    }

    public override bool IsCluster => true;

    public override async Task<T> ReadAsync<T>(Func<DbConnection, Task<T>> read, CancellationToken cancellationToken)
    {
        await using var connection = await _pools.Api.OpenConnectionAsync(cancellationToken);
        return await read(connection);
    }

    public override async Task<T> LookUpAsync<T>(Func<DbConnection, Task<T>> read, CancellationToken cancellationToken)
    {
        await using var connection = await _pools.LookUps.OpenConnectionAsync(cancellationToken);
        return await read(connection);
    }

    public override async Task<T> WriteAsync<T>(WriteLane lane, Func<DbTransaction, Task<T>> write, CancellationToken cancellationToken)
    {
        var pool = lane switch
        {
            WriteLane.Ledger => _pools.Ledger,
            WriteLane.Grant => _pools.Leases,
            _ => _pools.Api,
        };
        await using var connection = await pool.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (lane != WriteLane.Grant)
        {
            await connection.ExecuteAsync(lane == WriteLane.Admin ? LockAdmin : ShareLedger, transaction: transaction);
        }

        try
        {
            var value = await write(transaction);
            await CommitAsync(connection, transaction);
            return value;
        }
        catch (InvalidOperationException exception) when (connection.State != ConnectionState.Open)
        {
            // The server ended the connection between two statements and its keep-alive saw that first: then the next one is said to be misuse.
            throw new NpgsqlException("The connection was lost within a transaction.", new IOException(exception.Message, exception));
        }
    }

    /// <summary>
    /// A wait for a synchronous standby that is given up ends in success and a warning, the only one that a commit can end in.
    /// </summary>
    /// <exception cref="CommitUnconfirmedException">That happened.</exception>
    private static async Task CommitAsync(NpgsqlConnection connection, NpgsqlTransaction transaction)
    {
        var unconfirmed = false;
        connection.Notice += OnNotice;
        try
        {
            await transaction.CommitAsync(CancellationToken.None);
        }
        finally
        {
            connection.Notice -= OnNotice;
        }

        if (unconfirmed)
        {
            throw new CommitUnconfirmedException();
        }

        void OnNotice(object sender, NpgsqlNoticeEventArgs told) => unconfirmed |= told.Notice.SqlState == PostgresErrorCodes.Warning;
    }

    public override async Task<string?> ReadTimelineAsync(DbTransaction transaction) =>
        await transaction.Connection!.QuerySingleAsync<string>(ReadTimeline, transaction: transaction);

    public override Task LockLedgerAsync(DbTransaction transaction) => transaction.Connection!.ExecuteAsync(LockLedger, transaction: transaction);

    public override bool IsUniqueViolation(Exception exception) => exception is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation };

    public override bool IsRefusal(Exception exception) =>
        // Classes of SQLSTATE: data exception, integrity violation, program limit. The others are troubles that pass.
        exception is PostgresException { SqlState: [ '2', '2' or '3', .. ] or [ '5', '4', .. ] };

    public override bool IsDenied(Exception exception) => exception is PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege };

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
