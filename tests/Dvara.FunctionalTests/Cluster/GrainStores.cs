using Dapper;
using Dvara.Server.Hosting;
using Dvara.Server.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Orleans.Providers;
using Orleans.Storage;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>A grain storage, by default the default one, of two activations that do not know of each other, over the same rows.</summary>
internal sealed class GrainStores : IAsyncDisposable
{
    private const string DefaultName = ProviderConstants.DEFAULT_STORAGE_PROVIDER_NAME;

    private readonly Func<GrainId, Task<long>> _countRows;
    private readonly List<IAsyncDisposable> _owned = [];

    private GrainStores(IServiceProvider first, IServiceProvider second, string name, Func<GrainId, Task<long>> countRows)
    {
        First = first.GetRequiredKeyedService<IGrainStorage>(name);
        Second = second.GetRequiredKeyedService<IGrainStorage>(name);
        _countRows = countRows;
    }

    public IGrainStorage First { get; }

    public IGrainStorage Second { get; }

    public static GrainStores OnPostgres(OrleansCluster cluster, string name = DefaultName) => new(
        cluster.First.Services,
        cluster.Second.Services,
        name,
        grain => cluster.CountAsync("orleans_grain_state", $"id_text = '{grain.Key}'"));

    public static GrainStores OnSqlite()
    {
        var folder = Directory.CreateTempSubdirectory("dvara-test-");
        var file = Path.Combine(folder.FullName, "dvara.db");
        SqliteMigrator.Migrate(file);
        var database = new SqliteDatabase(file);
        var (first, second) = (Alone(database), Alone(database));
        return new(first.Services, second.Services, DefaultName, grain => database.ReadAsync(
            connection => connection.ExecuteScalarAsync<long>("SELECT count(*) FROM grain_state WHERE grain_id = @id", new { id = grain.ToString() }),
            CancellationToken.None))
        {
            _owned = { (IAsyncDisposable)first, (IAsyncDisposable)second, database, new Folder(folder) },
        };
    }

    public Task<long> CountRowsAsync(GrainId grain) => _countRows(grain);

    public async ValueTask DisposeAsync()
    {
        foreach (var owned in _owned)
        {
            await owned.DisposeAsync();
        }
    }

    private static IHost Alone(SqliteDatabase database)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton<Database>(database);
        builder.AddSilo(ClusterNode.FreePorts(), orleans: null);
        return builder.Build();
    }

    private sealed class Folder(DirectoryInfo folder) : IAsyncDisposable
    {
        public ValueTask DisposeAsync()
        {
            folder.Delete(recursive: true);
            return ValueTask.CompletedTask;
        }
    }
}
