using System.Net;
using Dvara.Server.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>One process of a cluster, as far as Orleans goes, here in this process: on ports of its own and with a pool of its own.</summary>
internal sealed class ClusterNode : IAsyncDisposable
{
    /// <summary>A grain storage that deletes what is cleared. Dvara has none; the tables can.</summary>
    public const string DeletingStorage = "deleting";

    private readonly IHost _host;
    private readonly NpgsqlDataSource _pool;

    private ClusterNode(IHost host, NpgsqlDataSource pool)
    {
        _host = host;
        _pool = pool;
    }

    public IServiceProvider Services => _host.Services;

    public SiloAddress Address => Services.GetRequiredService<ILocalSiloDetails>().SiloAddress;

    public IGrainFactory Grains => Services.GetRequiredService<IGrainFactory>();

    public static async Task<ClusterNode> StartAsync(string database, NodeRole role = NodeRole.Both)
    {
        var pool = NpgsqlDataSource.Create(database);
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.ClearProviders();
        builder.AddSilo(FreePorts() with { AdvertisedIp = IPAddress.Loopback, Role = role }, pool);
        if (role != NodeRole.Gateway)
        {
            builder.UseOrleans(silo => silo.AddAdoNetGrainStorage(
                DeletingStorage,
                storage => (storage.Invariant, storage.DataSource, storage.DeleteStateOnClear) = ("Npgsql", pool, true)));
        }

        var host = builder.Build();
        await host.StartAsync();
        return new(host, pool);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        await _pool.DisposeAsync();
    }

    public static DvaraSettings FreePorts()
    {
        var configuration = new ConfigurationManager();
        configuration["DVARA_SILO_PORT"] = "0";
        return DvaraSettings.Read(configuration) with { GatewayPort = Ports.Free() };
    }
}
