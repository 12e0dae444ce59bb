using System.Reflection;
using DbUp;
using DbUp.Engine.Output;

namespace Dvara.Server.Storage;

/// <summary>Brings a SQLite file to the newest schema: ordered, forward-only scripts, each run once.</summary>
internal static class SqliteMigrator
{
    private const string Folder = ".Migrations.Sqlite.";

    /// <exception cref="InvalidOperationException">A script failed; the message names it.</exception>
    public static void Migrate(string path)
    {
        var result = DeployChanges.To
            .SqliteDatabase($"Data Source={path};Pooling=False")
            .WithScriptsEmbeddedInAssembly(Assembly.GetExecutingAssembly(), name => name.Contains(Folder, StringComparison.Ordinal))
            .WithScriptNameComparer(StringComparer.Ordinal)
            .WithTransactionPerScript()
            .WithVariablesDisabled()
            .LogTo(new NoOpUpgradeLog())
            .Build()
            .PerformUpgrade();
        if (!result.Successful)
        {
            throw new InvalidOperationException($"Migration {result.ErrorScript?.Name} failed on {path}.", result.Error);
        }
    }
}
