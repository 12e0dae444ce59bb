namespace Dvara.Testing;

/// <summary>Silos of one cluster as processes of their own, each with a data folder that outlives it.</summary>
/// <param name="database">Their ledger's connection string; belongs to the caller.</param>
/// <param name="settings">Settings beyond the defaults, by their contract names.</param>
public sealed class ProcessCluster(string database, IReadOnlyDictionary<string, string?> settings) : IAsyncDisposable
{
    private readonly string _data = Directory.CreateTempSubdirectory("dvara-silos-").FullName;
    private readonly List<GatewayProcess> _silos = [];

    public IReadOnlyList<GatewayProcess> Silos => _silos;

    public string FolderOf(int silo) => Path.Combine(_data, $"silo-{silo}");

    /// <summary>Starts so many at once.</summary>
    public async Task StartAsync(int silos) => _silos.AddRange(await Task.WhenAll(Enumerable.Range(0, silos).Select(StartSiloAsync)));

    /// <summary>Another process on the folder of one that has ended, or is ended now without a word.</summary>
    public async Task RestartAsync(int silo)
    {
        await _silos[silo].DisposeAsync();
        _silos[silo] = await StartSiloAsync(silo);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var silo in _silos)
        {
            await silo.DisposeAsync();
        }

        Directory.Delete(_data, recursive: true);
    }

    private Task<GatewayProcess> StartSiloAsync(int silo)
    {
        var all = new Dictionary<string, string?>(settings)
        {
            ["DVARA_POSTGRES"] = database,
            ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey,
            ["DVARA_ADVERTISED_IP"] = "127.0.0.1",
        };
        all.TryAdd("Dvara:Hosting:LeaveSeconds", "1");
        return GatewayProcess.StartAsync(FolderOf(silo), all);
    }
}
