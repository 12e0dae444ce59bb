using Dvara.Server.Storage;

namespace Dvara.FunctionalTests.Costs;

/// <summary>A ledger of its own in a new folder: the real engine with the real schema, without a node around it.</summary>
internal sealed class LedgerFile : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dvara-costs-");

    public LedgerFile()
    {
        var path = Path.Combine(_folder.FullName, "ledger.db");
        SqliteMigrator.Migrate(path);
        Database = new SqliteDatabase(path);
    }

    public Database Database { get; }

    public async ValueTask DisposeAsync()
    {
        await Database.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}
