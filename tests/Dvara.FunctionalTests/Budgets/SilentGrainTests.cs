using System.Net;
using Dapper;
using Dvara.Domain;
using Dvara.Server.Budgets;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

/// <summary>The grain of a tenant's caps hangs: the silo runs the conditional statement itself, and the row decides as ever.</summary>
public sealed class SilentGrainTests
{
    private const int Room = 5;

    /// <param name="hasActed">False: the question lies with the grain, and is dealt with when nobody waits for it any more; true: its answer does.</param>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Calls_WhoseGrainHangs_AreRefusedAtExactlyTheRightOne(bool hasActed)
    {
        var grain = new HangingGrain(hasActed);
        await using var node = await GatewayEnvironment.StartAsync(services: services => services.AddSingleton<IIncomingGrainCallFilter>(grain));
        using var tenant = await TestTenant.CreateAsync(node);
        var budget = await node.Admin.MakeBudgetAsync(Room * MockCall.Cost, new() { ["tenantId"] = tenant.Id, ["holdWaitMs"] = 0 });

        var ends = (await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => tenant.CallAsync()))).ToList();
        await Await.TrueAsync(
            async () =>
            {
                ends.Add(await tenant.CallAsync());
                return ends[^1] is not ((HttpStatusCode.OK, _) or (_, true));
            },
            "a refusal for good");

        Assert.Equal(Room, ends.Count(end => end.Status == HttpStatusCode.OK));
        Assert.All(ends, end => Assert.True(end.Status is HttpStatusCode.OK or HttpStatusCode.PaymentRequired, $"{end.Status}"));
        Assert.True(grain.Asked > 0);
        Assert.Equal(0, grain.Answered);

        // All of it comes late, and acts no more.
        grain.Release();
        await Await.TrueAsync(() => Task.FromResult(grain.Answered == grain.Asked), "the grain to answer");
        Assert.Equal(HttpStatusCode.PaymentRequired, (await tenant.CallAsync()).Status);
        Assert.Equal(Room * MockCall.Cost, (decimal)(await node.Admin.UsageAsync(budget))["spentUsd"]!);
        await using var connection = await node.ConnectAsync();
        Assert.Equal(Room * MockCall.Cost, Usd.FromPico(await connection.QuerySingleAsync<long>("SELECT granted_pico_usd FROM leases")).ToDecimal());
    }

    private sealed class HangingGrain(bool hasActed) : IIncomingGrainCallFilter
    {
        private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _asked;
        private int _answered;

        public int Asked => Volatile.Read(ref _asked);

        public int Answered => Volatile.Read(ref _answered);

        public void Release() => _released.TrySetResult();

        public async Task Invoke(IIncomingGrainCallContext context)
        {
            if (context.Grain is not TenantBudgetGrain)
            {
                await context.Invoke();
                return;
            }

            Interlocked.Increment(ref _asked);
            if (hasActed)
            {
                await context.Invoke();
            }

            await _released.Task;
            if (!hasActed)
            {
                await context.Invoke();
            }

            Interlocked.Increment(ref _answered);
        }
    }
}
