using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Dvara.Server.Storage;
using Npgsql;
using Orleans.Configuration;
using Orleans.Providers;
using Orleans.Runtime.Hosting;

namespace Dvara.Server.Hosting;

/// <summary>
/// The node's part in Orleans: alone with SQLite, or one of a cluster whose membership, reminders and grain state are in PostgreSQL
/// (tables and query texts: <c>Storage/Migrations/Postgres/0001_orleans.sql</c>).
/// </summary>
internal static class Silo
{
    private const string ServiceId = "dvara";
    private const string Invariant = "Npgsql";

    private static readonly TimeSpan ResponseTimeout = TimeSpan.FromSeconds(10);

    /// <param name="builder">Needs a <see cref="Database"/> by the time it runs alone.</param>
    /// <param name="settings">Ports, cluster id, role.</param>
    /// <param name="orleans">The cluster's database, by a pool of its own: membership must not wait behind the ledger. Null: alone.</param>
    public static void AddSilo(this IHostApplicationBuilder builder, DvaraSettings settings, NpgsqlDataSource? orleans)
    {
        if (orleans is null)
        {
            builder.UseOrleans(silo => silo.RunAlone(settings));
        }
        else if (settings.Role == NodeRole.Gateway)
        {
            builder.UseOrleansClient(client => client.Join(settings, orleans));
        }
        else
        {
            builder.UseOrleans(silo => silo.Join(settings, orleans));
        }
    }

    private static void RunAlone(this ISiloBuilder silo, DvaraSettings settings)
    {
        silo.UseLocalhostClustering(settings.SiloPort, gatewayPort: 0, clusterId: settings.ClusterId, serviceId: ServiceId);
        // Alone it has no peers to watch or to retire; and with a rehearsal's clock ahead of the real one, which Orleans mixes, it would take
        // itself for one that died long ago.
        silo.Configure<ClusterMembershipOptions>(membership =>
        {
            membership.LivenessEnabled = false;
            membership.SiloGenerationRetirementAge = null;
            membership.DefunctSiloCleanupPeriod = null;
            membership.MaxDefunctSiloEntries = null;
        });
        silo.Services.AddGrainStorage(
            ProviderConstants.DEFAULT_STORAGE_PROVIDER_NAME,
            (services, _) => ActivatorUtilities.CreateInstance<SqliteGrainStorage>(services));
    }

    private static void Join(this ISiloBuilder silo, DvaraSettings settings, NpgsqlDataSource orleans)
    {
        silo.Configure<ClusterOptions>(cluster => Name(cluster, settings));
        silo.UseAdoNetClustering(clustering => (clustering.Invariant, clustering.DataSource) = (Invariant, orleans));
        silo.UseAdoNetReminderService(reminders => (reminders.Invariant, reminders.DataSource) = (Invariant, orleans));
        silo.AddAdoNetGrainStorageAsDefault(storage => (storage.Invariant, storage.DataSource) = (Invariant, orleans));
        // On any address, because the advertised one may be a host's or a load balancer's. The ports must be closed to strangers.
        silo.ConfigureEndpoints(settings.AdvertisedIp ?? OwnAddress(), settings.SiloPort, settings.GatewayPort, listenOnAnyHostAddress: true);
        silo.Configure<ClusterMembershipOptions>(Tune);
        silo.Configure<SiloMessagingOptions>(messaging =>
        {
            messaging.ResponseTimeout = ResponseTimeout;
            // A grain that falls behind refuses; by default its queue grows without bound.
            messaging.MaxEnqueuedRequestsSoftLimit = 2_000;
            messaging.MaxEnqueuedRequestsHardLimit = 10_000;
        });
        silo.Configure<GrainCollectionOptions>(collection => collection.CollectionAge = TimeSpan.FromMinutes(10));
    }

    private static void Join(this IClientBuilder client, DvaraSettings settings, NpgsqlDataSource orleans)
    {
        client.Configure<ClusterOptions>(cluster => Name(cluster, settings));
        client.UseAdoNetClustering(clustering => (clustering.Invariant, clustering.DataSource) = (Invariant, orleans));
        client.Configure<ClientMessagingOptions>(messaging => messaging.ResponseTimeout = ResponseTimeout);
        // Gateways may be started before the silos.
        client.UseConnectionRetryFilter(async (_, cancellationToken) =>
        {
            await Task.Delay(TimeSpan.FromSeconds(1), cancellationToken);
            return true;
        });
    }

    private static void Name(ClusterOptions cluster, DvaraSettings settings) => (cluster.ClusterId, cluster.ServiceId) = (settings.ClusterId, ServiceId);

    /// <summary>
    /// A silo that was killed is replaced after about 3 s, one that hangs after about 10 s; by default a hung one keeps its grains for a
    /// minute. Lower still, and a machine that is merely busy loses its silo, and every stream in it.
    /// </summary>
    private static void Tune(ClusterMembershipOptions membership)
    {
        membership.ProbeTimeout = TimeSpan.FromSeconds(2);
        membership.MinProbeTimeout = TimeSpan.FromSeconds(1);
        // Times the misses, it is how long a connection that delivered something is taken for life.
        membership.MaxProbeTimeout = TimeSpan.FromSeconds(4);
        membership.NumMissedProbesLimit = 3;
        membership.TableRefreshTimeout = TimeSpan.FromSeconds(15);
        // After a crash of all silos, a start on another address waits until their last signs of life are older than three of these.
        membership.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(10);
        membership.DefunctSiloExpiration = TimeSpan.FromHours(6);
    }

    /// <summary>The first IPv4 address that others can reach; loopback where there is none.</summary>
    private static IPAddress OwnAddress() =>
        NetworkInterface.GetAllNetworkInterfaces()
            .Where(network => network.OperationalStatus == OperationalStatus.Up)
            .SelectMany(network => network.GetIPProperties().UnicastAddresses)
            .Select(unicast => unicast.Address)
            .FirstOrDefault(address => address.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(address))
        ?? IPAddress.Loopback;
}
