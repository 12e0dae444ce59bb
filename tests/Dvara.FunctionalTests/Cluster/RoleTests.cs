using System.Net;
using System.Net.Http.Json;
using Dapper;
using Dvara.Server.Hosting;
using Dvara.Testing;
using Npgsql;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>DVARA_ROLE: gateways that hold no grains, and silos that take no calls.</summary>
public sealed class RoleTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Gateway_StartedBeforeItsSilo_TakesCallsAndTheSiloTakesNone()
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 0);
        var starting = cluster.AddAsync(new Dictionary<string, string?> { ["DVARA_ROLE"] = "gateway" });
        var silo = await cluster.AddAsync(new Dictionary<string, string?> { ["DVARA_ROLE"] = "silo", ["DVARA_GATEWAY_PORT"] = $"{Ports.Free()}" });
        var gateway = await starting;
        var (_, key) = await DrillLoad.NewKeyAsync(silo.Admin);

        Assert.Equal(HttpStatusCode.OK, await CallAsync(gateway, key));
        Assert.Equal(HttpStatusCode.NotFound, await CallAsync(silo, key));
    }

    [Fact]
    public async Task Gateway_ToldToStopWhileItWaitsForASilo_EndsCleanly()
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 0);
        var folder = Directory.CreateTempSubdirectory("dvara-waiting-").FullName;
        await using (var gateway = new ScriptProcess("dotnet", [Path.Combine(AppContext.BaseDirectory, "Dvara.Server.dll")], new Dictionary<string, string?>
        {
            ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
            ["DVARA_DATA_DIR"] = folder,
            ["DVARA_ACCEPT_LOSS"] = "1",
            ["DVARA_POSTGRES"] = cluster.Database,
            ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey,
            ["DVARA_ROLE"] = "gateway",
            ["Dvara__Hosting__LeaveSeconds"] = "0",
        }))
        {
            await WaitUntilItAsksForSilosAsync(cluster.Database);

            Assert.Equal(0, await gateway.TerminateAsync(Patience));
        }

        Directory.Delete(folder, recursive: true);
    }

    private static async Task WaitUntilItAsksForSilosAsync(string database)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(database) { Pooling = false }.ToString());
        await connection.OpenAsync();
        using var patience = new CancellationTokenSource(Patience);
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (await connection.QuerySingleAsync<long>(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dvara-orleans'") == 0)
        {
            await poll.WaitForNextTickAsync(patience.Token);
        }
    }

    private static async Task<HttpStatusCode> CallAsync(GatewayEnvironment node, string key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Headers = { Authorization = new("Bearer", key) },
            Content = JsonContent.Create(new { model = "mock/gpt-4o", messages = new[] { new { role = "user", content = "Hi" } } }),
        };
        using var answer = await node.Client.SendAsync(request);
        return answer.StatusCode;
    }
}
