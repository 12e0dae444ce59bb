using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.Domain;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

/// <summary>A period ends and the next begins while calls run: each call counts in the period in which it began, and in no other.</summary>
public sealed class CapPeriodTests
{
    private const int Room = 20;

    // None is later than now: on PostgreSQL a silo whose clock is years ahead takes itself for one that was retired long ago.
    [Theory]
    [InlineData("MONTHLY", "UTC", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z")]
    [InlineData("DAILY", "UTC", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z")]
    [InlineData("WEEKLY", "UTC", "2026-03-30T00:00:00Z", "2026-04-06T00:00:00Z")]
    [InlineData("DAILY", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")]
    [InlineData("DAILY", "Europe/Berlin", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z")]
    [InlineData("MONTHLY", "Asia/Kolkata", "2026-03-31T18:30:00Z", "2026-04-30T18:30:00Z")]
    public async Task PeriodChange_UnderLoad_GivesEachPeriodItsWholeLimitAndNoMore(string period, string zone, string boundary, string end)
    {
        var midnight = DateTimeOffset.Parse(boundary, System.Globalization.CultureInfo.InvariantCulture);
        var clock = new StepClock(midnight.AddSeconds(-1));
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        using var tenant = await TestTenant.CreateAsync(node);
        var budget = await node.Admin.MakeBudgetAsync(
            Room * MockCall.Cost, new() { ["tenantId"] = tenant.Id, ["period"] = period, ["timeZone"] = zone, ["holdWaitMs"] = 0 });

        using var stop = new CancellationTokenSource();
        var load = Enumerable.Range(0, 8).Select(_ => CallUntilAsync(tenant, stop.Token)).ToList();
        await tenant.Client.UseUpAsync();
        var before = await node.Admin.UsageAsync(budget);
        for (var step = 0; step < 20; step++)
        {
            clock.Advance(TimeSpan.FromMilliseconds(100));
            await tenant.CallAsync();
        }

        await tenant.Client.UseUpAsync();
        await stop.CancelAsync();
        await Task.WhenAll(load);

        var lines = await tenant.CostsAsync();
        Assert.Equal(Room, lines.Count(line => TimeOf(line) < midnight));
        Assert.Equal(Room, lines.Count(line => TimeOf(line) >= midnight));
        var after = await node.Admin.UsageAsync(budget);
        Assert.Equal((Room * MockCall.Cost, Room * MockCall.Cost), ((decimal)before["spentUsd"]!, (decimal)after["spentUsd"]!));
        Assert.Equal((boundary, boundary, end), (InstantOf(before, "resetsAt"), InstantOf(after, "periodStart"), InstantOf(after, "resetsAt")));
    }

    /// <summary>A call of 23:59:59.999 that ends next month.</summary>
    [Fact]
    public async Task CallOverMidnight_IsHeldAndChargedWhereItBegan()
    {
        var clock = new StepClock(new DateTimeOffset(2026, 4, 30, 23, 59, 59, 999, TimeSpan.Zero));
        await using var upstream = await FakeUpstream.StartAsync();
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        upstream.Answer = async (httpContext, call) =>
        {
            asked.SetResult();
            await goOn.Task;
            await Recorded.AnswerAsync(httpContext, call);
        };
        await using var node = await GatewayEnvironment.StartAsync(upstream.Settings, clock);
        using var tenant = await TestTenant.CreateAsync(node);
        var budget = await node.Admin.MakeBudgetAsync(1, new() { ["tenantId"] = tenant.Id });

        var running = tenant.PostAsync("/v1/chat/completions", """{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]}""");
        await asked.Task;
        clock.Advance(TimeSpan.FromHours(1));
        goOn.SetResult();
        using var answer = await running;

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var line = Assert.Single(await tenant.CostsAsync());
        Assert.Equal(new DateTimeOffset(2026, 4, 30, 23, 59, 59, 999, TimeSpan.Zero), TimeOf(line));
        var may = await node.Admin.UsageAsync(budget);
        Assert.Equal(("2026-05-01T00:00:00Z", 0m, 0), (InstantOf(may, "periodStart"), (decimal)may["spentUsd"]!, (int)may["requestCount"]!));
        var cost = (decimal)line["totalCostUsd"]!;
        Assert.Equal((cost, 0m), (await BilledAsync(node, tenant, "2026-04"), await BilledAsync(node, tenant, "2026-05")));
        // As it was looked at in April.
        clock.SetUtcNow(TimeOf(line));
        var april = await node.Admin.UsageAsync(budget);
        Assert.Equal(("2026-04-01T00:00:00Z", cost, 0m), (InstantOf(april, "periodStart"), (decimal)april["spentUsd"]!, (decimal)april["overrunUsd"]!));
    }

    /// <summary>Whoever calls right after midnight need not ask first.</summary>
    [Fact]
    public async Task NextPeriod_IsFetchedBeforeItBegins()
    {
        var midnight = new DateTimeOffset(2026, 5, 1, 0, 0, 0, TimeSpan.Zero);
        var clock = new StepClock(midnight.AddMilliseconds(-1));
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        using var tenant = await TestTenant.CreateAsync(node);
        await node.Admin.MakeBudgetAsync(1_000, new() { ["tenantId"] = tenant.Id });
        await using var connection = await node.ConnectAsync();

        var granted = 0L;
        await Await.TrueAsync(
            async () =>
            {
                // Its rate is what is fetched.
                await tenant.CallAsync();
                granted = await connection.QuerySingleOrDefaultAsync<long>(
                    "SELECT granted_pico_usd FROM leases WHERE start_ms = @start", new { start = midnight.ToUnixTimeMilliseconds() });
                return granted != 0;
            },
            "the next period to be fetched");

        Assert.InRange(Usd.FromPico(granted).ToDecimal(), 0.000000000001m, 1_000);
    }

    private static async Task CallUntilAsync(TestTenant tenant, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await tenant.CallAsync();
        }
    }

    private static async Task<decimal> BilledAsync(GatewayEnvironment node, TestTenant tenant, string period)
    {
        using var answer = await node.Admin.PostAsJsonAsync("/v1/admin/chargeback", new { tenantId = tenant.Id, period });
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        return (decimal)(await answer.Content.ReadFromJsonAsync<JsonNode>())!["totalUsd"]!;
    }

    private static DateTimeOffset TimeOf(JsonObject line) => DateTimeOffset.Parse((string)line["timestamp"]!, System.Globalization.CultureInfo.InvariantCulture);

    private static string InstantOf(JsonObject usage, string name) => (string)usage[name]!;
}
