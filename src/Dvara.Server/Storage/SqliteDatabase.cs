using System.Data.Common;
using System.Threading.Channels;
using Microsoft.Data.Sqlite;

namespace Dvara.Server.Storage;

/// <summary>
/// SQLite in WAL mode with <c>synchronous=FULL</c>: a commit survives power loss. One writer takes the queued writes lane by lane;
/// readers use pooled connections of their own.
/// </summary>
internal sealed class SqliteDatabase : Database
{
    private const int UniqueViolation = 2067;
    private const int PrimaryKeyViolation = 1555;

    private const int TooBig = 18;
    private const int Constraint = 19;
    private const int Mismatch = 20;
    private const int Range = 25;

    private readonly string _connectionString;
    private readonly Channel<Func<SqliteConnection, Task>>[] _lanes =
        [.. Enum.GetValues<WriteLane>().Select(_ => Channel.CreateBounded<Func<SqliteConnection, Task>>(1024))];

    // One permit per queued write, so that the writer sleeps on one thing and still chooses the lane.
    private readonly SemaphoreSlim _queued = new(0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly SqliteConnection _writerConnection;
    private readonly Task _writer;

    public SqliteDatabase(string path)
    {
        DapperTypes.Register();
        _connectionString = new SqliteConnectionStringBuilder
        {
            DataSource = path,
            ForeignKeys = true,
            DefaultTimeout = 30,
        }.ToString();
        _writerConnection = Open();
        _writer = Task.Run(WriteQueuedAsync);
    }

    public override async Task<T> ReadAsync<T>(Func<DbConnection, Task<T>> read, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await using var connection = Open();
        return await read(connection);
    }

    public override async Task<T> WriteAsync<T>(
        WriteLane lane, Func<DbTransaction, Task<T>> write, CancellationToken cancellationToken)
    {
        var result = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        await _lanes[(int)lane].Writer.WriteAsync(Run, cancellationToken);
        _queued.Release();
        return await result.Task;

        async Task Run(SqliteConnection connection)
        {
            try
            {
                cancellationToken.ThrowIfCancellationRequested();
                await using var transaction = connection.BeginTransaction();
                var value = await write(transaction);
                transaction.Commit();
                result.SetResult(value);
            }
            catch (Exception exception)
            {
                // Not handled here: the caller that awaits the result handles it.
                result.SetException(exception);
            }
        }
    }

    public override bool IsCluster => false;

    /// <summary>The one writer is a lock already.</summary>
    public override Task LockLedgerAsync(DbTransaction transaction) => Task.CompletedTask;

    public override bool IsUniqueViolation(Exception exception) =>
        exception is SqliteException { SqliteExtendedErrorCode: UniqueViolation or PrimaryKeyViolation };

    public override bool IsRefusal(Exception exception) => exception is SqliteException { SqliteErrorCode: TooBig or Constraint or Mismatch or Range };

    public override async ValueTask DisposeAsync()
    {
        foreach (var lane in _lanes)
        {
            lane.Writer.TryComplete();
        }

        await _stopping.CancelAsync();
        await _writer;
        await _writerConnection.DisposeAsync();
        SqliteConnection.ClearPool(_writerConnection);
        _stopping.Dispose();
        _queued.Dispose();
    }

    private SqliteConnection Open()
    {
        var connection = new SqliteConnection(_connectionString);
        connection.Open();
        using var pragma = connection.CreateCommand();
        pragma.CommandText = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 30000;";
        pragma.ExecuteNonQuery();
        return connection;
    }

    private async Task WriteQueuedAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await _queued.WaitAsync(_stopping.Token);
            }
            catch (OperationCanceledException)
            {
                break;
            }

            await NextWrite()!(_writerConnection);
        }

        // What was accepted is written: a stop loses nothing.
        while (NextWrite() is { } write)
        {
            await write(_writerConnection);
        }
    }

    private Func<SqliteConnection, Task>? NextWrite()
    {
        foreach (var lane in _lanes)
        {
            if (lane.Reader.TryRead(out var write))
            {
                return write;
            }
        }

        return null;
    }
}
