using Dvara.Server.Hosting;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Placement;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>What a silo and a gateway of a cluster really run with, whatever Orleans' own defaults become.</summary>
public sealed class OrleansOptionsTests
{
    [Fact]
    public async Task Cluster_RunsWithTheTunedOptions()
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 0);
        var silo = await cluster.AddAsync(new Dictionary<string, string?> { ["DVARA_ROLE"] = "silo", ["DVARA_GATEWAY_PORT"] = $"{Ports.Free()}" });
        var gateway = await cluster.AddAsync(new Dictionary<string, string?> { ["DVARA_ROLE"] = "gateway" });

        var membership = Of<ClusterMembershipOptions>(silo);
        Assert.True(membership.LivenessEnabled);
        Assert.Equal(TimeSpan.FromSeconds(2), membership.ProbeTimeout);
        Assert.Equal(TimeSpan.FromSeconds(1), membership.MinProbeTimeout);
        Assert.Equal(TimeSpan.FromSeconds(4), membership.MaxProbeTimeout);
        Assert.Equal(3, membership.NumMissedProbesLimit);
        Assert.Equal(TimeSpan.FromSeconds(15), membership.TableRefreshTimeout);
        Assert.Equal(TimeSpan.FromSeconds(10), membership.IAmAliveTablePublishTimeout);

        var messaging = Of<SiloMessagingOptions>(silo);
        Assert.Equal(2_000, messaging.MaxEnqueuedRequestsSoftLimit);
        Assert.Equal(10_000, messaging.MaxEnqueuedRequestsHardLimit);
        Assert.Equal(TimeSpan.FromSeconds(10), messaging.ResponseTimeout);
        Assert.Equal(TimeSpan.FromSeconds(10), Of<ClientMessagingOptions>(gateway).ResponseTimeout);
    }

    /// <summary>By default a grain would stay with whoever asks for it first.</summary>
    [Fact]
    public void Grains_AllSayWhereTheyArePlaced()
    {
        var grains = typeof(DvaraHost).Assembly.GetTypes().Where(type => type.IsAssignableTo(typeof(IGrainBase)) && !type.IsAbstract).ToList();

        Assert.NotEmpty(grains);
        Assert.All(grains, grain => Assert.Single(grain.GetCustomAttributes(typeof(PlacementAttribute), inherit: false)));
    }

    private static T Of<T>(GatewayEnvironment node)
        where T : class => node.Services.GetRequiredService<IOptions<T>>().Value;
}
