using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>DVARA_ROLE: gateways that hold no grains, and silos that take no calls.</summary>
public sealed class RoleTests
{
    [Fact]
    public async Task Gateway_StartedBeforeItsSilo_TakesCallsAndTheSiloTakesNone()
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 0);
        var starting = cluster.AddAsync(new Dictionary<string, string?> { ["DVARA_ROLE"] = "gateway" });
        var silo = await cluster.AddAsync(new Dictionary<string, string?> { ["DVARA_ROLE"] = "silo", ["DVARA_GATEWAY_PORT"] = $"{FreePort()}" });
        var gateway = await starting;
        var (_, key) = await DrillLoad.NewKeyAsync(silo.Admin);

        Assert.Equal(HttpStatusCode.OK, await CallAsync(gateway, key));
        Assert.Equal(HttpStatusCode.NotFound, await CallAsync(silo, key));
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

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}
