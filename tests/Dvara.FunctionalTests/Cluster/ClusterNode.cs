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

    public static async Task<ClusterNode> StartAsync(NpgsqlDataSource pool, NodeRole role = NodeRole.Both)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.ClearProviders();
        // A silo that learns of its own death ends the process, which is this one.
        builder.Services.AddSingleton<IFatalErrorHandler, SurvivingErrorHandler>();
        builder.AddSilo(FreePorts() with { AdvertisedIp = IPAddress.Loopback, Role = role }, pool);
        var host = builder.Build();
        await host.StartAsync();
        return new(host, pool);
    }

    /// <summary>Ends without a word: it can no longer write that it goes, and hangs up on the others.</summary>
    public async Task DieAsync()
    {
        await _pool.DisposeAsync();
        // Past the host, which would wait until it went well.
        foreach (var service in Services.GetServices<IHostedService>())
        {
            await service.StopAsync(new CancellationToken(canceled: true));
        }
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
        return DvaraSettings.Read(configuration) with { GatewayPort = DvaraSettings.Read(configuration).SiloPort };
    }

    private sealed class SurvivingErrorHandler : IFatalErrorHandler
    {
        public bool IsUnexpected(Exception exception) => true;

        public void OnFatalException(object? sender = null, string? context = null, Exception? exception = null)
        {
        }
    }
}
