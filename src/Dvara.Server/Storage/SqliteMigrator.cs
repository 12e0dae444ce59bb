using System.Reflection;
using DbUp;
using DbUp.Engine.Output;

namespace Dvara.Server.Storage;

/// <summary>Brings a SQLite file to the newest schema: ordered, forward-only scripts, each run once.</summary>
internal static class SqliteMigrator
{
    private const string Folder = ".Migrations.Sqlite.";

    /// <exception cref="MigrationException">A script failed; the message names it.</exception>
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
            throw new MigrationException(
                $"Migration {result.ErrorScript?.Name} failed on {path}: {result.Error?.Message}", result.Error);
        }
    }
}

/// <summary>The schema could not be brought up to date; the ledger is as it was before the script that failed.</summary>
internal sealed class MigrationException(string message, Exception? inner) : Exception(message, inner);
