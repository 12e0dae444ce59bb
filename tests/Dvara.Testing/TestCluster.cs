using Microsoft.Extensions.DependencyInjection;

namespace Dvara.Testing;

/// <summary>Nodes of one cluster in this process: real Kestrels, real silos, one PostgreSQL database.</summary>
public sealed class TestCluster : IAsyncDisposable
{
    private readonly List<GatewayEnvironment> _nodes = [];
    private readonly List<HttpClient> _clients = [];

    private TestCluster(string database) => Database = database;

    /// <summary>Its connection string, of a superuser.</summary>
    public string Database { get; }

    public IReadOnlyList<GatewayEnvironment> Nodes => _nodes;

    /// <param name="nodes">So many.</param>
    /// <param name="settings">Settings beyond the defaults, by their contract names.</param>
    /// <param name="clock">The clock of them all; null: the database's.</param>
    /// <param name="services">Adds to each what watches or hinders it from within.</param>
    public static async Task<TestCluster> StartAsync(
        int nodes, IReadOnlyDictionary<string, string?>? settings = null, TimeProvider? clock = null, Action<IServiceCollection>? services = null)
    {
        var cluster = new TestCluster(await TestPostgres.NewDatabaseAsync());
        for (var node = 0; node < nodes; node++)
        {
            await cluster.AddAsync(settings, clock, services);
        }

        return cluster;
    }

    public async Task<GatewayEnvironment> AddAsync(
        IReadOnlyDictionary<string, string?>? settings = null, TimeProvider? clock = null, Action<IServiceCollection>? services = null)
    {
        var all = new Dictionary<string, string?>(settings ?? new Dictionary<string, string?>());
        all.TryAdd("DVARA_POSTGRES", Database);
        all.TryAdd("DVARA_MASTER_KEY", GatewayEnvironment.MasterKey);
        all.TryAdd("DVARA_ADVERTISED_IP", "127.0.0.1");
        var node = await GatewayEnvironment.StartAsync(all, clock, services: services);
        _nodes.Add(node);
        return node;
    }

    /// <summary>One of each node, with the tenant's key; they end with the cluster.</summary>
    public HttpClient[] ClientsOf(TestTenant tenant)
    {
        var clients = _nodes.Select(node =>
        {
            var client = new HttpClient { BaseAddress = node.BaseAddress };
            client.DefaultRequestHeaders.Authorization = tenant.Client.DefaultRequestHeaders.Authorization;
            return client;
        }).ToArray();
        _clients.AddRange(clients);
        return clients;
    }

    public async ValueTask DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        foreach (var node in _nodes)
        {
            await node.DisposeAsync();
        }

        await TestPostgres.DropAsync(Database);
    }
}
