using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.Server.Metering;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>A ledger whose server becomes another one, or begins another timeline.</summary>
public sealed class TimelineTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _folder = Directory.CreateTempSubdirectory("dvara-timeline-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Ledger_OnANewTimeline_IsFedWhatTheJournalKeeps()
    {
        await using var postgres = await PostgresServer.StartAsync();
        string tenantId;
        JsonObject budget;
        (string, decimal, long) figures;
        await using (var node = await StartAsync(postgres))
        {
            using var tenant = await TestTenant.CreateAsync(node);
            tenantId = tenant.Id;
            budget = await node.Admin.MakeBudgetAsync(1000, new JsonObject { ["tenantId"] = tenantId });
            for (var call = 0; call < 3; call++)
            {
                using var answer = await tenant.PostAsync("/v1/chat/completions", """{"model":"mock/gpt-4o","messages":[{"role":"user","content":"Hi"}]}""");
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            }

            await FlushAsync(node);
            figures = await FiguresAsync(node, tenantId, budget);
            await WatchUntilAsync(node, "00000001");

            await ForgetAsync(postgres);
            await postgres.StopAsync();
            await postgres.PromoteAsync();
            // Reports would still find the connections that were cut.
            node.Services.GetRequiredService<PostgresPools>().Api.Clear();
            await WatchUntilAsync(node, "00000002");

            Assert.Equal(3, (await DrillLoad.ReadLinesAsync(node.Admin, tenantId)).Count);
            Assert.Equal(figures, await FiguresAsync(node, tenantId, budget));
        }

        // Again, and the ledger takes one charge of three before it is away, and the process ends.
        await postgres.StopAsync();
        await postgres.PromoteAsync();
        await ForgetAsync(postgres);
        await ExecuteAsync(postgres, """
            CREATE SEQUENCE taken;
            CREATE FUNCTION be_away() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('taken') > 1 THEN
                    RAISE EXCEPTION 'away' USING ERRCODE = 'cannot_connect_now';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER away BEFORE INSERT ON charges FOR EACH ROW EXECUTE FUNCTION be_away();
            """);
        await using (var node = await StartAsync(postgres))
        {
            await Await.TrueAsync(async () => (await DrillLoad.ReadLinesAsync(node.Admin, tenantId)).Count == 1, "the first to be taken");
            Assert.False(await node.Services.GetRequiredService<LedgerWriter>().TryWatchAsync(CancellationToken.None));
            Assert.EndsWith("00000002", Timeline(node), StringComparison.Ordinal);
        }

        // The process is another one and remembers what it has not finished; nothing is missing, and nothing is doubled.
        await ExecuteAsync(postgres, "DROP TRIGGER away ON charges");
        await using (var node = await StartAsync(postgres))
        {
            Assert.EndsWith("00000002", Timeline(node), StringComparison.Ordinal);
            await WatchUntilAsync(node, "00000003");

            Assert.Equal(3, (await DrillLoad.ReadLinesAsync(node.Admin, tenantId)).Count);
            Assert.Equal(figures, await FiguresAsync(node, tenantId, budget));
        }
    }

    /// <summary>The ledger loses what the standing of the journal says nothing of.</summary>
    private static Task ForgetAsync(PostgresServer postgres) => ExecuteAsync(postgres, """
        ALTER TABLE charges DISABLE TRIGGER USER;
        DELETE FROM charges;
        ALTER TABLE charges ENABLE TRIGGER USER;
        DELETE FROM rollup_hours; DELETE FROM rollup_minutes;
        UPDATE leases SET settled_pico_usd = 0, requests = 0;
        """);

    private static async Task ExecuteAsync(PostgresServer postgres, string sql)
    {
        await using var connection = await ConnectAsync(postgres);
        await connection.ExecuteAsync(sql);
    }

    private async Task<GatewayEnvironment> StartAsync(PostgresServer postgres)
    {
        await using (await ConnectAsync(postgres))
        {
            // The migrator's of the node before, which a process of its own would not have.
            NpgsqlConnection.ClearAllPools();
            return await GatewayEnvironment.StartAsync(
                new Dictionary<string, string?>
                {
                    ["DVARA_POSTGRES"] = postgres.ConnectionString, ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey, ["DVARA_ADVERTISED_IP"] = "127.0.0.1",
                    ["Dvara:Journal:BatchMax"] = "1",
                },
                dataDirectory: _folder);
        }
    }

    /// <summary>As the silo does every ten seconds.</summary>
    private static async Task WatchUntilAsync(GatewayEnvironment node, string timeline)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        do
        {
            await node.Services.GetRequiredService<LedgerWriter>().TryWatchAsync(patience.Token);
            await poll.WaitForNextTickAsync(patience.Token);
        }
        while (Timeline(node)?.EndsWith(timeline, StringComparison.Ordinal) is not true);
    }

    private static string? Timeline(GatewayEnvironment node) => node.Services.GetRequiredService<Journal>().ReadTimeline();

    private static async Task FlushAsync(GatewayEnvironment node)
    {
        using var patience = new CancellationTokenSource(Patience);
        await node.Services.GetRequiredService<LedgerWriter>().FlushAsync(patience.Token);
    }

    /// <summary>What the ledger's rollups say, and what the cap's leases do.</summary>
    private static async Task<(string Summary, decimal Spent, long Requests)> FiguresAsync(GatewayEnvironment node, string tenant, JsonObject budget)
    {
        var summary = (await node.Admin.GetFromJsonAsync<JsonNode>(
            $"/v1/admin/costs/summary?tenantId={tenant}&from=2026-01-01T00:00:00Z&to=2040-01-01T00:00:00Z"))!;
        var usage = await node.Admin.UsageAsync(budget);
        return (summary.ToJsonString(), (decimal)usage["spentUsd"]!, (long)usage["requestCount"]!);
    }

    /// <summary>Once the server takes writes.</summary>
    private static async Task<NpgsqlConnection> ConnectAsync(PostgresServer postgres)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (true)
        {
            var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(postgres.ConnectionString) { Pooling = false }.ToString());
            await connection.OpenAsync(patience.Token);
            if (!await connection.QuerySingleAsync<bool>("SELECT pg_is_in_recovery()"))
            {
                return connection;
            }

            await connection.DisposeAsync();
            await poll.WaitForNextTickAsync(patience.Token);
        }
    }
}
