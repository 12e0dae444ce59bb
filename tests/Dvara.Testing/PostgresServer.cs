using System.Globalization;
using Npgsql;

namespace Dvara.Testing;

/// <summary>A PostgreSQL server of its own, to be stopped and killed.</summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly string _folder;

    private PostgresServer(string folder, string connectionString) => (_folder, ConnectionString) = (folder, connectionString);

    /// <summary>Of a superuser.</summary>
    public string ConnectionString { get; }

    public int Port => new NpgsqlConnectionStringBuilder(ConnectionString).Port;

    public static async Task<PostgresServer> StartAsync()
    {
        var folder = Path.Combine(Path.GetTempPath(), $"dvara-postgres-{Guid.NewGuid():N}");
        return new(folder, (await ControlAsync("start", folder)).Trim());
    }

    /// <summary>As an operator stops it: open connections are ended.</summary>
    public Task StopAsync() => ControlAsync("halt", _folder);

    /// <summary>SIGKILL to every process of the server.</summary>
    public Task KillAsync() => ControlAsync("kill", _folder);

    /// <summary>On the same port, after <see cref="StopAsync"/> or <see cref="KillAsync"/>.</summary>
    public Task StartAgainAsync() => ControlAsync("restart", _folder);

    /// <summary>As <see cref="StartAgainAsync"/>, on a new timeline: what a standby that becomes the primary begins.</summary>
    public Task PromoteAsync() => ControlAsync("promote", _folder);

    /// <summary>Ends connections from the server's side.</summary>
    /// <param name="application">Those of this application name.</param>
    /// <returns>How many there were.</returns>
    public async Task<int> CutAsync(string application)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(ConnectionString) { Pooling = false }.ToString());
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1", connection);
        command.Parameters.AddWithValue(application);
        return Convert.ToInt32(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
    }

    public async ValueTask DisposeAsync() => await ControlAsync("stop", _folder);

    private static Task<string> ControlAsync(string command, string folder) =>
        Shell.RunAsync(Repository.Root, Patience, Path.Combine(Repository.Root, "deploy", "local-postgres.sh"), command, folder);
}
