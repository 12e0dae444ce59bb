using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.Domain;
using Dvara.Server.Budgets;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>A month ends on three silos under load.</summary>
public sealed class PeriodChangeTests
{
    private const int Silos = 3;
    private const int CallersPerSilo = 4;
    private const int Room = 20;

    private static readonly DateTimeOffset April = new(2026, 4, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly DateTimeOffset May = new(2026, 5, 1, 0, 0, 0, TimeSpan.Zero);

    // So early that nobody fetches ahead yet.
    private readonly StepClock _clock = new(May.AddSeconds(-61), realTimestamps: true);
    private readonly Asks _asks = new();

    [Fact]
    public async Task PeriodChange_OnThreeSilosUnderLoad_HasNoGap_NoDoublePeriod_AndNoStampede()
    {
        await using var cluster = await TestCluster.StartAsync(Silos, clock: _clock, services: services => services.AddSingleton<IOutgoingGrainCallFilter>(_asks));
        var admin = cluster.Nodes[0].Admin;
        using var wideTenant = await TestTenant.CreateAsync(cluster.Nodes[0]);
        using var tightTenant = await TestTenant.CreateAsync(cluster.Nodes[0]);
        var wide = await admin.MakeBudgetAsync(1_000_000, new() { ["tenantId"] = wideTenant.Id });
        var tight = await admin.MakeBudgetAsync(Room * MockCall.Cost, new() { ["tenantId"] = tightTenant.Id, ["holdWaitMs"] = 0 });
        var (wideClients, tightClients) = (cluster.ClientsOf(wideTenant), cluster.ClientsOf(tightTenant));
        await Task.WhenAll(wideClients.Concat(tightClients).Select(client => client.AwaitBudgetsAsync(MockCall.Body, 1)));

        using var stop = new CancellationTokenSource();
        var answers = wideClients.Select(_ => new ConcurrentQueue<HttpStatusCode>()).ToArray();
        var load = Enumerable.Range(0, Silos * CallersPerSilo).Select(caller => CallUntilAsync(wideClients[caller % Silos], answers[caller % Silos], stop.Token)).ToList();
        await Task.WhenAll(tightClients.Select(client => client.UseUpAsync()));
        await AnsweredAsync(answers, 100);

        // The last instant: each silo fetches ahead what it uses in a few seconds.
        _clock.SetUtcNow(May.AddTicks(-1));
        await using var connection = new NpgsqlConnection(cluster.Database);
        await Await.TrueAsync(
            async () => await connection.QuerySingleAsync<long>(
                "SELECT count(*) FROM leases WHERE cap_id = @cap AND start_ms = @start AND granted_pico_usd > 0", new { cap = IdOf(wide), start = May.ToUnixTimeMilliseconds() }) == Silos,
            "the leases of May");
        var (sent, time) = (_asks.Of(wide, May).Count, Stopwatch.StartNew());
        _clock.SetUtcNow(May);
        await AnsweredAsync(answers, 50);
        var (asks, seconds) = (_asks.Of(wide, May), time.Elapsed.TotalSeconds);
        await Task.WhenAll(tightClients.Select(client => client.UseUpAsync()));
        await stop.CancelAsync();
        await Task.WhenAll(load);

        // No stampede: the looks ask, two a second at most, and calls as good as never.
        Assert.InRange(asks.Count - sent, 0, Silos * (4 + (4 * seconds)));
        Assert.InRange(asks.Count(ask => ask.Need > 0), 0, Silos * (2 + seconds));
        // No gap: nobody was refused.
        Assert.All(answers, silo => Assert.All(silo, status => Assert.Equal(HttpStatusCode.OK, status)));
        await Task.WhenAll(cluster.Nodes.Select(node => node.Admin.UsageAsync(wide)));
        foreach (var (budget, tenant) in ((JsonObject, TestTenant)[])[(wide, wideTenant), (tight, tightTenant)])
        {
            Assert.Equal(
                [(April, May), (May, May.AddMonths(1))],
                await connection.QueryAsync<(DateTimeOffset, DateTimeOffset)>("SELECT start_ms, end_ms FROM cap_periods WHERE cap_id = @cap ORDER BY 1", new { cap = IdOf(budget) }));
            var lines = await DrillLoad.ReadLinesAsync(admin, tenant.Id);
            var (before, after) = (lines.Count(line => TimeOf(line) < May), lines.Count(line => TimeOf(line) >= May));
            Assert.Equal([before * MockCall.Cost, after * MockCall.Cost], await SpentAsync(connection, budget));
            if (budget == tight)
            {
                Assert.Equal((Room, Room), (before, after));
            }
        }
    }

    private static Guid IdOf(JsonObject budget) => Guid.Parse((string)budget["id"]!);

    private static DateTimeOffset TimeOf(JsonNode line) => DateTimeOffset.Parse((string)line["timestamp"]!, System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>So many more answers of every silo.</summary>
    private static Task AnsweredAsync(ConcurrentQueue<HttpStatusCode>[] answers, int more)
    {
        var before = Array.ConvertAll(answers, silo => silo.Count);
        return Await.TrueAsync(() => Task.FromResult(answers.Index().All(silo => silo.Item.Count >= before[silo.Index] + more)), $"{more} answers of each silo");
    }

    private static async Task CallUntilAsync(HttpClient client, ConcurrentQueue<HttpStatusCode> answers, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            answers.Enqueue((await client.CallAsync()).Status);
        }
    }

    /// <summary>Of the cap's periods, the first one first.</summary>
    private static async Task<IEnumerable<decimal>> SpentAsync(NpgsqlConnection connection, JsonObject budget) =>
        (await connection.QueryAsync<long>(
            "SELECT CAST(sum(settled_pico_usd) AS bigint) FROM leases WHERE cap_id = @cap GROUP BY start_ms ORDER BY start_ms", new { cap = IdOf(budget) }))
        .Select(spent => Usd.FromPico(spent).ToDecimal());

    /// <summary>Everything that the silos ask of grains of caps.</summary>
    private sealed class Asks : IOutgoingGrainCallFilter
    {
        private readonly ConcurrentQueue<LeaseQuestion> _questions = new();

        public List<LeaseQuestion> Of(JsonObject budget, DateTimeOffset start) => [.. _questions.Where(question => question.Cap == IdOf(budget) && question.Start == start)];

        public Task Invoke(IOutgoingGrainCallContext context)
        {
            if (context.InterfaceMethod.DeclaringType == typeof(ITenantBudgetGrain))
            {
                _questions.Enqueue((LeaseQuestion)context.Request.GetArgument(0)!);
            }

            return context.Invoke();
        }
    }
}
