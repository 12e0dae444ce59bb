using Dvara.Server.Hosting;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>A fresh database with Orleans' tables, and two silos on it whose role may read and write rows and no more.</summary>
public sealed class OrleansCluster : IAsyncLifetime
{
    private OrleansDatabase? _database;
    private ClusterNode? _first;
    private ClusterNode? _second;

    internal OrleansDatabase Database => _database!;

    internal ClusterNode First => _first!;

    internal ClusterNode Second => _second!;

    public async ValueTask InitializeAsync()
    {
        _database = await OrleansDatabase.CreateAsync("orl");
        await ApplyScriptAsync();
        await ApplyScriptAsync();
        await Database.GrantRowsAsync();
        _first = await StartNodeAsync();
        _second = await StartNodeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var owned in new IAsyncDisposable?[] { _second, _first, _database })
        {
            await (owned?.DisposeAsync() ?? ValueTask.CompletedTask);
        }
    }

    internal async Task ApplyScriptAsync()
    {
        using var resource = typeof(DvaraSettings).Assembly.GetManifestResourceStream("Dvara.Server.Storage.Migrations.Postgres.0001_orleans.sql")!;
        using var script = new StreamReader(resource);
        await Database.ExecuteAsync(await script.ReadToEndAsync());
    }

    internal Task<ClusterNode> StartNodeAsync(NodeRole role = NodeRole.Both) => ClusterNode.StartAsync(Database.Application, role);

    internal async Task<long> CountAsync(string table, string condition)
    {
        await using var command = Database.Owner.CreateCommand($"SELECT count(*) FROM {table} WHERE {condition}");
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
