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

    private const string ReadVersion = "SELECT current_setting('server_version_num')::int / 10000";

    private const string OwnsSchema = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = current_schema()";

    private const string HasJournal = "SELECT to_regclass('schemaversions') IS NOT NULL";

    private const string ReadApplied = "SELECT scriptname FROM schemaversions";

    /// <summary>What a node does at start: migrates where its role owns the schema, and otherwise only checks that somebody has.</summary>
    /// <exception cref="MigrationException">The server is none that keeps what it acknowledges, or the schema is older than this program.</exception>
    public static async Task PrepareAsync(PostgresPools pools, CancellationToken cancellationToken)
    {
        await using var connection = await ConnectAsync(pools, cancellationToken);
        if (await connection.QuerySingleOrDefaultAsync<bool?>(OwnsSchema) is not { } owns)
        {
            throw new MigrationException("This role sees no schema in this database. Run the command migrate with the role that is to own it, then start again.", null);
        }

        if (owns)
        {
            await MigrateAsync(connection, pools.ConnectionString);
            return;
        }

        var missing = await CompareAsync(connection);
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
        await CompareAsync(connection);
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
        var version = await connection.QuerySingleAsync<int>(ReadVersion);
        var problem = version < VersionMin
            ? $"it is version {version}; at least {VersionMin} is needed"
            : await PostgresDurability.ProblemAsync(connection);
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

    /// <returns>The migrations that are not made yet.</returns>
    /// <exception cref="MigrationException">The schema is newer than this program, or closed to this role.</exception>
    private static async Task<IReadOnlyList<string>> CompareAsync(NpgsqlConnection connection)
    {
        HashSet<string> applied;
        try
        {
            applied = await connection.QuerySingleAsync<bool>(HasJournal)
                ? (await connection.QueryAsync<string>(ReadApplied)).ToHashSet(StringComparer.Ordinal)
                : [];
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            throw new MigrationException(
                $"This role may not use the ledger: {exception.MessageText}. deploy/postgres/roles.sql makes the roles, and the command migrate grants them what they need.",
                exception);
        }

        List<string> known = [.. Scripts().Select(script => script.Name)];
        return applied.Except(known).Order(StringComparer.Ordinal).FirstOrDefault() is { } newer
            ? throw new MigrationException($"The schema is newer than this program: it has the migration {newer}. Start the program that made it, or a later one.", null)
            : [.. known.Where(name => name != Grants && !applied.Contains(name))];
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
