using Npgsql;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>
/// A fresh database on the server that <c>DVARA_TEST_POSTGRES</c> names (a superuser's connection string), and a role beside it that owns
/// nothing; both go at the end. Tests without a server fail: what is not tried must not look tried.
/// </summary>
internal sealed class OrleansDatabase : IAsyncDisposable
{
    private const string Variable = "DVARA_TEST_POSTGRES";

    private readonly string _server;
    private readonly string _name;

    private OrleansDatabase(string server, string name)
    {
        _server = server;
        _name = name;
        Owner = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(server) { Database = name, SearchPath = Schema, Pooling = false });
        Application = new NpgsqlConnectionStringBuilder(server)
        {
            Database = name,
            SearchPath = Schema,
            Options = $"-c role={name}",
            MaxPoolSize = 8,
        }.ToString();
    }

    /// <summary>Everything stands here and not in <c>public</c>, so that a name which ignores the search path is found out.</summary>
    public static string Schema => "dvara";

    /// <summary>Who may do everything; its connections are not kept.</summary>
    public NpgsqlDataSource Owner { get; }

    /// <summary>How the application's role connects.</summary>
    public string Application { get; }

    public static async Task<OrleansDatabase> CreateAsync(string prefix)
    {
        var server = Environment.GetEnvironmentVariable(Variable) ?? throw new InvalidOperationException(
            $"{Variable} is not set. It must be the connection string of a PostgreSQL superuser, such as Host=localhost;Username=postgres.");
        var database = new OrleansDatabase(server, $"{prefix}_{Guid.NewGuid():N}");
        await database.OnServerAsync($"CREATE DATABASE {database._name}");
        await database.OnServerAsync($"CREATE ROLE {database._name}");
        await database.ExecuteAsync($"CREATE SCHEMA {Schema}; GRANT USAGE ON SCHEMA {Schema} TO {database._name}");
        return database;
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var command = Owner.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Lets the application's role read and write the rows of every table there is now, and no more.</summary>
    public Task GrantRowsAsync() => ExecuteAsync($"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {Schema} TO {_name}");

    public async ValueTask DisposeAsync()
    {
        await Owner.DisposeAsync();
        await OnServerAsync($"DROP DATABASE {_name} WITH (FORCE)");
        await OnServerAsync($"DROP ROLE {_name}");
    }

    private async Task OnServerAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(_server) { Pooling = false }.ToString());
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
