using System.Net;
using Dvara.Server.Hosting;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

public sealed class SecretsTests : IAsyncLifetime
{
    private TestCluster _cluster = null!;

    public async ValueTask InitializeAsync() => _cluster = await TestCluster.StartAsync(nodes: 1);

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task Silo_WithAnotherMasterKey_DoesNotStart()
    {
        var refusal = await Assert.ThrowsAsync<SettingsException>(
            () => _cluster.AddAsync(new Dictionary<string, string?> { ["DVARA_MASTER_KEY"] = new string('a', 20) + "0123456789bcdef0123" }));

        Assert.Contains("not the key that this ledger was begun with", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Silo_WithoutAMasterKey_DoesNotStart()
    {
        var refusal = Assert.Throws<SettingsException>(() => DvaraHost.Build(["--DVARA_POSTGRES=Host=nowhere"]));

        Assert.Contains("DVARA_MASTER_KEY is not set", refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>It would lock out whoever has the first one.</summary>
    [Fact]
    public async Task Silo_WithAnotherAdminToken_DoesNotStart_AndTheFirstOneStays()
    {
        var refusal = await Assert.ThrowsAsync<SettingsException>(
            () => _cluster.AddAsync(new Dictionary<string, string?> { ["DVARA_ADMIN_TOKEN"] = "another-admin-token-0123456789" }));

        Assert.Contains("DVARA_ADMIN_TOKEN is not the bootstrap token", refusal.Message, StringComparison.Ordinal);
        using var answer = await _cluster.Nodes[0].Admin.GetAsync("/v1/admin/tenants");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task BootstrapToken_OfSilosThatStartTogether_IsOneAndShownByItsMaker()
    {
        // Nobody gave a token: whoever is first makes one.
        await using var silos = new ProcessCluster(await TestPostgres.NewDatabaseAsync(), new Dictionary<string, string?> { ["DVARA_ADMIN_TOKEN"] = null });
        await silos.StartAsync(3);

        var shown = silos.Silos.Where(silo => silo.Output.Contains("Admin token, shown this once", StringComparison.Ordinal)).ToList();
        var files = Enumerable.Range(0, 3).Select(silo => Path.Combine(silos.FolderOf(silo), "admin-token")).Where(File.Exists).ToList();

        Assert.Single(shown);
        var token = (await File.ReadAllTextAsync(Assert.Single(files))).Trim();
        foreach (var silo in silos.Silos)
        {
            using var client = new HttpClient { BaseAddress = silo.BaseAddress };
            client.DefaultRequestHeaders.Authorization = new("Bearer", token);
            using var answer = await client.GetAsync("/v1/admin/tenants");
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
    }
}
