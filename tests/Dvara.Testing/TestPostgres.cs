using Dapper;
using Dvara.Server.Storage;
using Npgsql;

namespace Dvara.Testing;

/// <summary>Databases of the PostgreSQL server that <c>tests/run.sh</c> starts; each a copy of one that has been migrated.</summary>
public static class TestPostgres
{
    /// <summary>The server, as a superuser.</summary>
    public const string ServerVariable = "DVARA_TEST_POSTGRES";

    private const string EngineVariable = "DVARA_TEST_ENGINE";

    private static readonly Lazy<Task<string>> Template = new(MakeTemplateAsync);
    private static readonly SemaphoreSlim Copying = new(1);

    /// <summary>True: tests of stores and nodes run on PostgreSQL in this run of the suite.</summary>
    public static bool IsEngine => Environment.GetEnvironmentVariable(EngineVariable) == "postgres";

    public static string Server => Environment.GetEnvironmentVariable(ServerVariable)
        ?? throw new InvalidOperationException($"{ServerVariable} is not set: run tests/run.sh, or start a server with deploy/local-postgres.sh.");

    /// <returns>The connection string of a new database with the newest schema.</returns>
    public static async Task<string> NewDatabaseAsync()
    {
        var template = await Template.Value;
        var name = $"test_{Guid.NewGuid():N}";

        // The server copies a template for one at a time.
        await Copying.WaitAsync();
        try
        {
            await RunAsync($"CREATE DATABASE {name} TEMPLATE {template}");
        }
        finally
        {
            Copying.Release();
        }

        return On(name);
    }

    /// <returns>The connection string of a new database with nothing in it.</returns>
    public static async Task<string> NewEmptyDatabaseAsync()
    {
        var name = $"test_{Guid.NewGuid():N}";
        await RunAsync($"CREATE DATABASE {name}");
        return On(name);
    }

    public static Task DropAsync(string database) =>
        RunAsync($"DROP DATABASE {new NpgsqlConnectionStringBuilder(database).Database} WITH (FORCE)");

    private static async Task<string> MakeTemplateAsync()
    {
        var name = $"template_{Guid.NewGuid():N}";
        await RunAsync($"CREATE DATABASE {name}");
        await using var pools = new PostgresPools(On(name));
        await PostgresMigrator.MigrateAsync(pools, CancellationToken.None);
        NpgsqlConnection.ClearAllPools();
        return name;
    }

    private static string On(string database) => new NpgsqlConnectionStringBuilder(Server) { Database = database }.ToString();

    private static async Task RunAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(Server) { Pooling = false }.ToString());
        await connection.ExecuteAsync(sql);
    }
}
