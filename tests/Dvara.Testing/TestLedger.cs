using Dvara.Server.Storage;
using Microsoft.Data.Sqlite;

namespace Dvara.Testing;

/// <summary>A new ledger of the engine under test, with the real schema and without a node around it.</summary>
internal sealed class TestLedger : IAsyncDisposable
{
    private readonly Func<ValueTask> _dispose;

    private TestLedger(Database database, Func<ValueTask> dispose) => (Database, _dispose) = (database, dispose);

    public Database Database { get; }

    public static async Task<TestLedger> CreateAsync()
    {
        if (TestPostgres.IsEngine)
        {
            var connectionString = await TestPostgres.NewDatabaseAsync();
            var pools = new PostgresPools(connectionString);
            return new(new PostgresDatabase(pools), async () =>
            {
                await pools.DisposeAsync();
                await TestPostgres.DropAsync(connectionString);
            });
        }

        var folder = Directory.CreateTempSubdirectory("dvara-ledger-");
        var path = Path.Combine(folder.FullName, "ledger.db");
        SqliteMigrator.Migrate(path);
        var database = new SqliteDatabase(path);
        return new(database, async () =>
        {
            await database.DisposeAsync();
            SqliteConnection.ClearAllPools();
            folder.Delete(recursive: true);
        });
    }

    public ValueTask DisposeAsync() => _dispose();
}
