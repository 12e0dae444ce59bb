using System.Diagnostics;
using System.Globalization;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Metering;
using Dvara.Server.Budgets;
using Dvara.Testing;

namespace Dvara.Benchmarks;

/// <summary>What one hold costs: out of a slice, through the gate with four caps, and where a grain must be asked.</summary>
internal static class Holds
{
    private const int SliceHolds = 20_000_000;
    private const int GateHolds = 1_000_000;
    private const int Tenants = 60;
    private const int AsksPerTenant = 50;

    public static async Task<int> RunAsync()
    {
        MeasureSlice();
        await using var cluster = await TestCluster.StartAsync(nodes: 2);
        await MeasureGateAsync(cluster.Nodes[0]);
        await MeasureAskAsync(cluster.Nodes[0]);
        return 0;
    }

    private static void MeasureSlice()
    {
        var slice = new Slice();
        slice.Ask(1, mayLower: true);
        slice.Apply(new(Usd.FromDecimal(1000), 1, Usd.Zero, Usd.Zero, 0), long.MaxValue, isAnswer: true);
        var hold = Usd.FromPico(7_500_000_000);
        for (var warm = 0; warm < 2; warm++)
        {
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            var started = Stopwatch.GetTimestamp();
            for (var i = 0; i < SliceHolds; i++)
            {
                slice.TryHold(hold, 0);
                slice.Release(hold);
            }

            var nanoseconds = Stopwatch.GetElapsedTime(started).TotalNanoseconds / SliceHolds;
            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
            if (warm == 1)
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"hold and release of a slice: {nanoseconds:0} ns, {(double)allocated / SliceHolds:0.0} bytes allocated"));
            }
        }
    }

    private static async Task MeasureGateAsync(GatewayEnvironment node)
    {
        using var tenant = await TestTenant.CreateAsync(node);
        foreach (var scope in (System.Text.Json.Nodes.JsonObject[])[[], new() { ["apiKeyId"] = tenant.KeyId }, new() { ["model"] = "gpt-4o*" }, new() { ["model"] = "gpt-4o" }])
        {
            scope["tenantId"] = tenant.Id;
            await node.Admin.MakeBudgetAsync(1_000_000, scope);
        }

        var gate = node.Services.GetRequiredService<BudgetGate>();
        var request = RequestOf(tenant);
        (await gate.HoldAsync(request, CancellationToken.None)).Hold!.Release();
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < GateHolds; i++)
        {
            (await gate.HoldAsync(request, CancellationToken.None)).Hold!.Release();
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"hold and release through the gate under four caps: {Stopwatch.GetElapsedTime(started).TotalNanoseconds / GateHolds:0} ns, {(double)(GC.GetAllocatedBytesForCurrentThread() - allocated) / GateHolds:0} bytes allocated"));
    }

    /// <summary>Each ask is a transaction of PostgreSQL; the grain is on this silo, or on the other one.</summary>
    private static async Task MeasureAskAsync(GatewayEnvironment node)
    {
        var grains = node.Services.GetRequiredService<IGrainFactory>();
        var own = node.Services.GetRequiredService<ILocalSiloDetails>().SiloAddress;
        var asker = node.Services.GetRequiredService<LeaseAsker>();
        var leases = node.Services.GetRequiredService<CapLeases>();
        var book = node.Services.GetRequiredService<CapBookState>();
        var times = new Dictionary<string, List<double>> { ["local"] = [], ["remote"] = [] };
        for (var i = 0; i < Tenants; i++)
        {
            using var tenant = await TestTenant.CreateAsync(node);
            await node.Admin.MakeBudgetAsync(1_000_000, new() { ["tenantId"] = tenant.Id });
            var cap = book.Current.Covering(new(Guid.Parse(tenant.Id)), new KeyLineId(Guid.Parse(tenant.KeyId)))[^1];
            var lease = leases.At(cap, DateTimeOffset.FromUnixTimeMilliseconds((long)(TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalMilliseconds));
            await asker.AskAsync(lease, Usd.FromPico(1), Usd.FromPico(1), Usd.Zero, mayLower: true);
            var address = await grains.GetGrain<IManagementGrain>(0).GetActivationAddress(grains.GetGrain<ITenantBudgetGrain>(tenant.Id));
            for (var ask = 0; ask < AsksPerTenant; ask++)
            {
                var started = Stopwatch.GetTimestamp();
                await asker.AskAsync(lease, Usd.FromPico(1), Usd.FromPico(1), Usd.Zero, mayLower: true);
                times[own.Equals(address) ? "local" : "remote"].Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
        }

        foreach (var (where, of) in times)
        {
            of.Sort();
            Console.WriteLine(of.Count == 0 ? $"no grain was {where}" : string.Create(CultureInfo.InvariantCulture,
                $"ask of a {where} grain: p50 {of[of.Count / 2]:0.00} ms, p99 {of[of.Count * 99 / 100]:0.00} ms of {of.Count}"));
        }
    }

    private static HoldRequest RequestOf(TestTenant tenant) => new()
    {
        Scope = new(new(Guid.Parse(tenant.Id)), new KeyLineId(Guid.Parse(tenant.KeyId)), "mock", "gpt-4o", Intent.NoTags),
        Bound = new AttemptBound(Usd.FromPico(2_500_000_000), 10_000_000, 1),
        Price = null,
        IsPriced = true,
        OutputLimit = 500,
    };
}
