using System.Net;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.Domain;
using Dvara.Server.Budgets;
using Dvara.Server.Metering;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

/// <summary>A silo's looks at its leases: what happens when they fail, and when there are none.</summary>
public sealed class LeaseWatchTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Now = new(2026, 4, 15, 12, 0, 0, TimeSpan.Zero);

    private GatewayEnvironment _node = null!;
    private TestTenant _tenant = null!;

    public async ValueTask InitializeAsync()
    {
        _node = await GatewayEnvironment.StartAsync(clock: new StepClock(Now));
        _tenant = await TestTenant.CreateAsync(_node);
    }

    public async ValueTask DisposeAsync()
    {
        _tenant.Dispose();
        await _node.DisposeAsync();
    }

    /// <summary>As of a process that is frozen for longer than its leases may be held from, and goes on: 45 s later its watch has seen nothing.</summary>
    [Fact]
    public async Task Slice_WhoseTimeRanOut_IsAskedForBeforeAnythingIsHeldFromIt()
    {
        var budget = await _node.Admin.MakeBudgetAsync(1, new() { ["tenantId"] = _tenant.Id });
        Assert.Equal(HttpStatusCode.OK, (await _tenant.CallAsync()).Status);
        await _node.Services.GetServices<IHostedService>().OfType<LeaseWatch>().Single().StopAsync(TestContext.Current.CancellationToken);
        var (lease, journal) = (_node.Services.GetRequiredService<CapLeases>().All.Single(), _node.Services.GetRequiredService<Journal>().Id);
        var database = _node.Services.GetRequiredService<Database>();

        await LapseAsync();
        var asked = await AskedAsync();
        Assert.Equal(HttpStatusCode.OK, (await _tenant.CallAsync()).Status);
        Assert.True(await AskedAsync() > asked);

        // Written off meanwhile, and lent to others: the money that the slice still knows of is theirs.
        await LapseAsync();
        await database.WriteAsync(WriteLane.Admin, transaction => JournalLeaseStore.GiveBackAsync(transaction, journal, Now), TestContext.Current.CancellationToken);
        await ExecuteAsync(
            "INSERT INTO leases (cap_id, start_ms, journal_id, granted_pico_usd, settled_pico_usd) VALUES (@cap, @start, @other, @rest, @rest)",
            new { cap = lease.Cap.Id, start = lease.Period.From, other = new JournalId(Guid.NewGuid()), rest = Usd.FromDecimal(1 - (2 * MockCall.Cost)) });
        Assert.True(lease.Slice.Free.ToDecimal() >= MockCall.Cost);

        Assert.Equal((HttpStatusCode.PaymentRequired, false), await _tenant.CallAsync());
        Assert.Equal((1m, 0m), await SpentAsync(budget));

        async Task LapseAsync()
        {
            // All that was charged is in the ledger, so that the row is the whole truth.
            await _node.Admin.UsageAsync(budget);
            var row = Assert.Single(await database.ReadAsync(connection => LeaseStore.ReadOwnAsync(connection, journal, Now), TestContext.Current.CancellationToken));
            lease.Slice.Apply(row.State, Ticks.Now, isAnswer: false);
        }
    }

    [Fact]
    public async Task LeaseThatCannotBeWritten_DoesNotKeepTheOthersFromBeingLookedAt()
    {
        var tight = await _node.Admin.MakeBudgetAsync(1.5m * MockCall.Cost, new() { ["tenantId"] = _tenant.Id });
        var others = new List<JsonObject>();
        for (var i = 0; i < 3; i++)
        {
            others.Add(await _node.Admin.MakeBudgetAsync(1, new() { ["tenantId"] = _tenant.Id }));
        }

        await ExecuteAsync(TestPostgres.IsEngine
            ? """
              CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stuck'; END $$;
              CREATE TRIGGER stuck BEFORE UPDATE ON leases FOR EACH ROW WHEN (new.refused > old.refused) EXECUTE FUNCTION refuse();
              """
            : "CREATE TRIGGER stuck BEFORE UPDATE ON leases WHEN new.refused > old.refused BEGIN SELECT RAISE(ABORT, 'stuck'); END");
        Assert.Equal(HttpStatusCode.OK, (await _tenant.CallAsync()).Status);
        Assert.Equal(HttpStatusCode.PaymentRequired, (await _tenant.CallAsync()).Status);

        // It takes a look to give their money back.
        foreach (var budget in others)
        {
            await _node.Admin.ChangeBudgetAsync(budget, new() { ["enabled"] = false });
        }

        foreach (var budget in others)
        {
            await Await.TrueAsync(async () => (await SpentAsync(budget)).Held == 0, "a lease to be looked at");
        }

        Assert.Equal(0, (int)(await _node.Admin.UsageAsync(tight))["blockedCount"]!);
        await ExecuteAsync(TestPostgres.IsEngine ? "DROP TRIGGER stuck ON leases" : "DROP TRIGGER stuck");
        await Await.TrueAsync(async () => (int)(await _node.Admin.UsageAsync(tight))["blockedCount"]! == 1, "the refusal to be written after all");
    }

    private async Task<(decimal Spent, decimal Held)> SpentAsync(JsonObject budget)
    {
        var usage = await _node.Admin.UsageAsync(budget);
        return ((decimal)usage["spentUsd"]!, (decimal)usage["heldUsd"]!);
    }

    private async Task<long> AskedAsync()
    {
        await using var connection = await _node.ConnectAsync();
        return await connection.QuerySingleAsync<long>("SELECT asked FROM leases");
    }

    private async Task ExecuteAsync(string sql, object? parameters = null)
    {
        await using var connection = await _node.ConnectAsync();
        await connection.ExecuteAsync(sql, parameters);
    }
}
