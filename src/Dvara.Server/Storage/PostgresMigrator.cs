using System.Reflection;
using Dapper;
using DbUp;
using DbUp.Engine;
using DbUp.Engine.Output;
using DbUp.Support;
using Npgsql;

namespace Dvara.Server.Storage;

/// <summary>Brings a PostgreSQL schema to the newest version: ordered, forward-only scripts, each run once, by one process at a time.</summary>
internal static class PostgresMigrator
{
    private const string Folder = ".Migrations.Postgres.";
    private const string Grants = "grants.sql";
    private const int VersionMin = 15;

    private const string Lock = "SELECT pg_advisory_lock(4483, 0)";

    private const string ReadServer = """
        SELECT current_setting('server_version_num')::int / 10000 AS version, current_setting('fsync') AS fsync,
            current_setting('synchronous_commit') AS synchronousCommit
        """;

    private const string OwnsSchema = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = current_schema()";

    private const string HasJournal = "SELECT to_regclass('schemaversions') IS NOT NULL";

    private const string ReadApplied = "SELECT scriptname FROM schemaversions";

    /// <summary>What a node does at start: migrates where its role owns the schema, and otherwise only checks that somebody has.</summary>
    /// <exception cref="MigrationException">The server is none that keeps what it acknowledges, or the schema is older than this program.</exception>
    public static async Task PrepareAsync(PostgresPools pools, CancellationToken cancellationToken)
    {
        await using var connection = await ConnectAsync(pools, cancellationToken);
        if (await connection.QuerySingleOrDefaultAsync<bool>(OwnsSchema))
        {
            await MigrateAsync(connection, pools.ConnectionString);
            return;
        }

        var missing = await MissingAsync(connection);
        if (missing.Count > 0)
        {
            throw new MigrationException(
                $"The schema lacks {missing.Count} migrations, the first is {missing[0]}, and this role may not make them. "
                + "Run the command migrate with DVARA_POSTGRES set to the role that owns the schema, then start again.",
                null);
        }
    }

    /// <summary>The command <c>migrate</c>.</summary>
    /// <exception cref="MigrationException">The server is too old or forgetful, or a script failed; the message names it.</exception>
    public static async Task MigrateAsync(PostgresPools pools, CancellationToken cancellationToken)
    {
        await using var connection = await ConnectAsync(pools, cancellationToken);
        await MigrateAsync(connection, pools.ConnectionString);
    }

    private static async Task MigrateAsync(NpgsqlConnection connection, string connectionString)
    {
        // Held by the session: it goes when this connection does.
        await connection.ExecuteAsync(Lock, commandTimeout: 0);
        var scripts = Scripts().Select(script => new SqlScript(
            script.Name,
            script.Text,
            new SqlScriptOptions { ScriptType = script.Name == Grants ? ScriptType.RunAlways : ScriptType.RunOnce, RunGroupOrder = script.Name == Grants ? 2 : 1 }));
        var result = DeployChanges.To
            .PostgresqlDatabase(connectionString)
            .WithScripts(scripts)
            .WithScriptNameComparer(StringComparer.Ordinal)
            .WithTransactionPerScript()
            .WithVariablesDisabled()
            .LogTo(new NoOpUpgradeLog())
            .Build()
            .PerformUpgrade();
        if (!result.Successful)
        {
            throw new MigrationException($"Migration {result.ErrorScript?.Name} failed: {result.Error?.Message}", result.Error);
        }
    }

    private static async Task<NpgsqlConnection> ConnectAsync(PostgresPools pools, CancellationToken cancellationToken)
    {
        var connection = await OpenAsync(pools, cancellationToken);
        var (version, fsync, synchronousCommit) = await connection.QuerySingleAsync<(int, string, string)>(ReadServer);
        var problem = version < VersionMin ? $"it is version {version}; at least {VersionMin} is needed"
            : fsync == "off" ? "fsync is off: it would lose charges that it has acknowledged"
            : synchronousCommit == "off" ? "synchronous_commit is off: it would lose charges that it has acknowledged"
            : null;
        if (problem is null)
        {
            return connection;
        }

        await connection.DisposeAsync();
        throw new MigrationException($"This PostgreSQL cannot keep a ledger: {problem}.", null);
    }

    private static async Task<NpgsqlConnection> OpenAsync(PostgresPools pools, CancellationToken cancellationToken)
    {
        try
        {
            return await pools.ConnectAsync(cancellationToken);
        }
        catch (NpgsqlException exception)
        {
            throw new MigrationException($"PostgreSQL (DVARA_POSTGRES) cannot be used: {exception.Message}", exception);
        }
    }

    private static async Task<List<string>> MissingAsync(NpgsqlConnection connection)
    {
        var applied = await connection.QuerySingleAsync<bool>(HasJournal)
            ? (await connection.QueryAsync<string>(ReadApplied)).ToHashSet(StringComparer.Ordinal)
            : [];
        return [.. Scripts().Select(script => script.Name).Where(name => name != Grants && !applied.Contains(name))];
    }

    private static IEnumerable<(string Name, string Text)> Scripts()
    {
        var assembly = Assembly.GetExecutingAssembly();
        foreach (var resource in assembly.GetManifestResourceNames().Order(StringComparer.Ordinal))
        {
            var at = resource.IndexOf(Folder, StringComparison.Ordinal);
            if (at >= 0)
            {
                using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
                yield return (resource[(at + Folder.Length)..], reader.ReadToEnd());
            }
        }
    }
}
