using System.Data;
using System.Data.Common;
using Microsoft.Data.Sqlite;

namespace Dvara.Server.Storage;

/// <summary>Several reads of one moment: what is committed between them stays unseen.</summary>
internal static class Snapshot
{
    /// <summary>Begins a transaction for reading only; give it to every command, then dispose it.</summary>
    public static async ValueTask<DbTransaction> BeginSnapshotAsync(this DbConnection connection, CancellationToken cancellationToken) =>
        // Not deferred, SQLite would take the write lock for it.
        connection is SqliteConnection sqlite
            ? sqlite.BeginTransaction(deferred: true)
            : await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken);
}
