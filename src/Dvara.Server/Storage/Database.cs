using System.Data.Common;
using System.Net.Sockets;
using Npgsql;

namespace Dvara.Server.Storage;

/// <summary>Who waits for a write; a lower value goes first where writes queue.</summary>
internal enum WriteLane
{
    /// <summary>A request in flight waits for it (a lease).</summary>
    Grant,

    /// <summary>An admin waits for it.</summary>
    Admin,

    /// <summary>Nobody waits: the ledger writer catches up by itself.</summary>
    Ledger,
}

/// <summary>
/// The one way to the database. SQLite has one writer per file, so writes queue by lane; PostgreSQL runs them side by side.
/// Reads see a committed snapshot and never wait for a writer.
/// </summary>
internal abstract class Database : IAsyncDisposable
{
    // SQLSTATE idle_in_transaction_session_timeout.
    private const string IdleInTransaction = "25P03";

    /// <summary>Runs <paramref name="read"/> on a connection of the pool.</summary>
    public abstract Task<T> ReadAsync<T>(Func<DbConnection, Task<T>> read, CancellationToken cancellationToken);

    /// <summary>
    /// As <see cref="ReadAsync"/>, for a quick read that requests wait for, such as whose key this is: it never stands behind reports,
    /// and ends after about a second where a connection has died unseen.
    /// </summary>
    public virtual Task<T> LookUpAsync<T>(Func<DbConnection, Task<T>> read, CancellationToken cancellationToken) => ReadAsync(read, cancellationToken);

    /// <summary>
    /// Runs <paramref name="write"/> in one transaction and commits it; an exception rolls everything back and comes out unchanged.
    /// When the task ends, the write is durable.
    /// </summary>
    public abstract Task<T> WriteAsync<T>(WriteLane lane, Func<DbTransaction, Task<T>> write, CancellationToken cancellationToken);

    public Task WriteAsync(WriteLane lane, Func<DbTransaction, Task> write, CancellationToken cancellationToken) =>
        WriteAsync<object?>(
            lane,
            async transaction =>
            {
                await write(transaction);
                return null;
            },
            cancellationToken);

    /// <summary>True: other silos write to it too.</summary>
    public abstract bool IsCluster { get; }

    /// <summary>
    /// Which server this is, and which of its histories: another one after a standby was promoted, a backup put back or the data moved.
    /// Null: a file, which has no such thing.
    /// </summary>
    public virtual Task<string?> ReadTimelineAsync(DbTransaction transaction) => Task.FromResult<string?>(null);

    /// <summary>
    /// Waits until no ledger batch is under way and keeps new ones out until the transaction ends: what it reads of the ledger then, and
    /// what it says about later rows, has no gap between.
    /// </summary>
    public abstract Task LockLedgerAsync(DbTransaction transaction);

    /// <summary>True when <paramref name="exception"/> is the engine's "unique constraint violated".</summary>
    public abstract bool IsUniqueViolation(Exception exception);

    /// <summary>
    /// True when the database is away, overloaded or did not confirm in time, or when this server does not take writes or logins, as amid a
    /// failover: the same may well succeed later.
    /// </summary>
    public static bool IsAway(Exception exception) => exception switch
    {
        PostgresException { SqlState: PostgresErrorCodes.QueryCanceled or IdleInTransaction or PostgresErrorCodes.ReadOnlySqlTransaction } => true,
        // Class of SQLSTATE: invalid authorization.
        PostgresException { SqlState: ['2', '8', ..] } => true,
        DbException { IsTransient: true } => true,
        NpgsqlException { InnerException: IOException or TimeoutException or SocketException } => true,
        CommitUnconfirmedException => true,
        _ => false,
    };

    /// <summary>True when the values are to blame, whatever else happens: writing them again would be refused again.</summary>
    public abstract bool IsRefusal(Exception exception);

    /// <summary>True when the database's role lacks a right: whatever is tried again is denied again, until an operator grants it.</summary>
    public virtual bool IsDenied(Exception exception) => false;

    public abstract ValueTask DisposeAsync();
}

/// <summary>
/// The commit is on the primary and its synchronous standby has not confirmed it: it would be lost if the primary were now. What was
/// written can be seen, and is to be written again until it is confirmed.
/// </summary>
internal sealed class CommitUnconfirmedException() : Exception("The synchronous standby did not confirm the commit in time; it may have taken effect.");
