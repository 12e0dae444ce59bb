using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.Server.Metering;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>Journals of silos that come and go, and of a ledger that forgets or is away.</summary>
public sealed class JournalsTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private TestCluster _cluster = null!;

    public async ValueTask InitializeAsync() => _cluster = await TestCluster.StartAsync(nodes: 0);

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task Journal_OfASiloThatIsGone_IsShippedFromItsFolder()
    {
        var node = await _cluster.AddAsync();
        var folder = Directory.CreateTempSubdirectory("dvara-gone-").FullName;
        try
        {
            var settings = new Dictionary<string, string?> { ["DVARA_POSTGRES"] = _cluster.Database, ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey, ["DVARA_ADVERTISED_IP"] = "127.0.0.1" };
            var (tenant, key) = await DrillLoad.NewKeyAsync(node.Admin);
            await using (var gone = await GatewayProcess.StartAsync(folder, settings))
            {
                // What it has settled and not shipped when it dies.
                await BlockLedgerAsync();
                using var client = new HttpClient { BaseAddress = gone.BaseAddress };
                Assert.Equal(HttpStatusCode.OK, await CallAsync(client, key));
                await gone.KillAsync();
                await UnblockLedgerAsync();
            }

            Assert.Empty(await DrillLoad.ReadLinesAsync(node.Admin, tenant));
            await ExecuteAsync("UPDATE journals SET seen_ms = seen_ms - 120000");
            Assert.Contains("MISSING", await StatesAsync(node));

            // Beside a silo of this machine, whose port is in use.
            using (var listener = new TcpListener(IPAddress.Loopback, 0))
            {
                listener.Start();
                var said = await Shell.RunAsync(
                    folder, Patience, "dotnet", Path.Combine(AppContext.BaseDirectory, "Dvara.Server.dll"), "journal", "ship", folder,
                    $"DVARA_POSTGRES={_cluster.Database}", $"DVARA_SILO_PORT={((IPEndPoint)listener.LocalEndpoint).Port}");
                Assert.Contains("closed", said, StringComparison.Ordinal);
            }

            var line = Assert.Single(await DrillLoad.ReadLinesAsync(node.Admin, tenant));
            Assert.Equal("SETTLED", (string)line["state"]!);
            Assert.Contains("CLOSED", await StatesAsync(node));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Journal_OfAnotherInstallation_IsNotShipped()
    {
        var folder = Directory.CreateTempSubdirectory("dvara-foreign-").FullName;
        await using (var other = await TestCluster.StartAsync(nodes: 0))
        {
            var node = await other.AddAsync(new Dictionary<string, string?> { ["DVARA_DATA_DIR"] = folder });
            var (_, key) = await DrillLoad.NewKeyAsync(node.Admin);
            Assert.Equal(HttpStatusCode.OK, await CallAsync(node.Client, key));
        }

        await _cluster.AddAsync();
        await using (var pools = new PostgresPools(_cluster.Database))
        {
            using var logging = Microsoft.Extensions.Logging.LoggerFactory.Create(_ => { });
            var refusal = await Assert.ThrowsAsync<IOException>(() => JournalShipment.RunAsync(pools, folder, adopt: false, new(), [], logging, CancellationToken.None));
            Assert.Contains("has never heard of journal", refusal.Message, StringComparison.Ordinal);
            Assert.Equal(0, await QueryAsync<long>("SELECT count(*) FROM charges"));
        }

        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Ledger_ThatLostItsLastCommits_IsFedAgain(bool withTraffic)
    {
        var node = await _cluster.AddAsync();
        var journal = node.Services.GetRequiredService<Journal>();
        var writer = node.Services.GetRequiredService<LedgerWriter>();
        var (tenant, key) = await DrillLoad.NewKeyAsync(node.Admin);
        Assert.Equal(HttpStatusCode.OK, await CallAsync(node.Client, key));
        await writer.FlushAsync(CancellationToken.None);
        var kept = await QueryAsync<long>("SELECT shipped_through FROM journals");
        Assert.Equal(HttpStatusCode.OK, await CallAsync(node.Client, key));
        Assert.Equal(HttpStatusCode.OK, await CallAsync(node.Client, key));
        await writer.FlushAsync(CancellationToken.None);
        var before = await SummaryAsync(node, tenant);

        // As a standby that lacked the last transactions and was made primary.
        await ExecuteAsync($"""
            ALTER TABLE charges DISABLE TRIGGER ALL;
            DELETE FROM charges WHERE journal_seq > {kept};
            DELETE FROM journal_batches WHERE last_seq > {kept};
            DELETE FROM rollup_hours; DELETE FROM rollup_minutes;
            UPDATE journals SET shipped_through = {kept}, digest = (SELECT digest FROM journal_batches ORDER BY last_seq DESC LIMIT 1);
            """);
        if (withTraffic)
        {
            Assert.Equal(HttpStatusCode.OK, await CallAsync(node.Client, key));
            await writer.FlushAsync(CancellationToken.None);
        }
        else
        {
            await UntilAsync(3, () => QueryAsync<long>("SELECT count(*) FROM charges"));
        }

        Assert.Equal(withTraffic ? 4 : 3, (await DrillLoad.ReadLinesAsync(node.Admin, tenant)).Count);
        Assert.Equal(0, journal.Unshipped);
        Assert.Equal(3, before);
    }

    [Theory]
    [InlineData(PostgresErrorCodes.SerializationFailure)]
    [InlineData(PostgresErrorCodes.DeadlockDetected)]
    public async Task Batch_ThatLosesAgainstOthers_IsSentAgainAsItWas(string state)
    {
        var node = await _cluster.AddAsync();
        var (tenant, key) = await DrillLoad.NewKeyAsync(node.Admin);
        await BlockLedgerAsync();
        for (var call = 0; call < 5; call++)
        {
            Assert.Equal(HttpStatusCode.OK, await CallAsync(node.Client, key));
        }

        // A sequence remembers across transactions: the first three tries fail, at the very end of the batch.
        await ExecuteAsync($"""
            CREATE SEQUENCE tries;
            CREATE OR REPLACE FUNCTION be_away() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('tries') <= 3 THEN
                    RAISE EXCEPTION 'another was first' USING ERRCODE = '{state}';
                END IF;
                RETURN NEW;
            END $$;
            """);
        using var patience = new CancellationTokenSource(Patience);
        await node.Services.GetRequiredService<LedgerWriter>().FlushAsync(patience.Token);

        Assert.Equal(4, await QueryAsync<long>("SELECT last_value FROM tries"));
        Assert.Equal(5, await QueryAsync<long>("SELECT charges FROM journal_batches"));
        Assert.Equal(0, await QueryAsync<long>("SELECT count(*) FROM quarantined_charges"));
        Assert.Equal(5, (await DrillLoad.ReadLinesAsync(node.Admin, tenant)).Count);
        Assert.Equal(5, await SummaryAsync(node, tenant));
    }

    [Fact]
    public async Task Journals_OfOtherSilos_SayWhatWaitsInThem()
    {
        var (node, other) = (await _cluster.AddAsync(), await _cluster.AddAsync());
        var id = $"{other.Services.GetRequiredService<Journal>().Id}";
        await UntilAsync(0, () => PendingAsync(node, id));

        await ExecuteAsync($"UPDATE journals SET pending = 7 WHERE id = '{id}'");
        Assert.Equal(7, await PendingAsync(node, id));
        Assert.Equal(0, await PendingAsync(other, id));

        // Of a silo that is not heard of any more nobody can say it.
        await ExecuteAsync($"UPDATE journals SET seen_ms = seen_ms - 120000 WHERE id = '{id}'");
        Assert.Null(await PendingAsync(node, id));
    }

    [Fact]
    public async Task Calls_WhileTheLedgerIsAway_AreTakenUpToTheBoundAndThen503()
    {
        const int bound = 20;
        var node = await _cluster.AddAsync(new Dictionary<string, string?> { ["Dvara:Journal:UnshippedMax"] = $"{bound}" });
        var (tenant, key) = await DrillLoad.NewKeyAsync(node.Admin);
        Assert.Equal(HttpStatusCode.OK, await CallAsync(node.Client, key));
        await node.Services.GetRequiredService<LedgerWriter>().FlushAsync(CancellationToken.None);

        await BlockLedgerAsync();
        for (var call = 0; call < bound; call++)
        {
            Assert.Equal(HttpStatusCode.OK, await CallAsync(node.Client, key));
        }

        using (var refused = await SendAsync(node.Client, key))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.Equal("ledger_unavailable", (string)(await refused.Content.ReadFromJsonAsync<JsonNode>())!["error"]!["code"]!);
        }

        using (var ready = await node.Client.GetAsync("/readyz"))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        }

        await UnblockLedgerAsync();
        using var patience = new CancellationTokenSource(Patience);
        await node.Services.GetRequiredService<LedgerWriter>().FlushAsync(patience.Token);

        Assert.Equal(HttpStatusCode.OK, await CallAsync(node.Client, key));
        await node.Services.GetRequiredService<LedgerWriter>().FlushAsync(patience.Token);
        Assert.Equal(bound + 2, (await DrillLoad.ReadLinesAsync(node.Admin, tenant)).Count);
    }

    [Fact]
    public async Task Answer_AcknowledgedByTheLedger_IsInItWhenItEnds()
    {
        var node = await _cluster.AddAsync(new Dictionary<string, string?> { ["Dvara:Metering:Acknowledge"] = "ledger" });
        var (_, key) = await DrillLoad.NewKeyAsync(node.Admin);
        var patient = 0;
        for (var call = 1; call <= 20; call++)
        {
            // One that took longer may have ended without the ledger: that is the bound of the wait. The next would then not wait at all.
            await node.Services.GetRequiredService<LedgerWriter>().FlushAsync(CancellationToken.None);
            if (await TimeOfCallAsync(node.Client, key) < TimeSpan.FromMilliseconds(250))
            {
                Assert.Equal(call, await QueryAsync<long>("SELECT count(*) FROM charges"));
                patient++;
            }
        }

        Assert.NotEqual(0, patient);

        // Away: answers end after one short wait, and then without any.
        await BlockLedgerAsync();
        var times = new List<TimeSpan>();
        for (var call = 0; call < 20; call++)
        {
            times.Add(await TimeOfCallAsync(node.Client, key));
        }

        Assert.InRange(times.Count(time => time >= TimeSpan.FromMilliseconds(250)), 0, 10);
        await UnblockLedgerAsync();
        using var patience = new CancellationTokenSource(Patience);
        await node.Services.GetRequiredService<LedgerWriter>().FlushAsync(patience.Token);
        Assert.Equal(40, await QueryAsync<long>("SELECT count(*) FROM charges"));
    }

    private static async Task<TimeSpan> TimeOfCallAsync(HttpClient client, string key)
    {
        var started = TimeProvider.System.GetTimestamp();
        Assert.Equal(HttpStatusCode.OK, await CallAsync(client, key));
        return TimeProvider.System.GetElapsedTime(started);
    }

    /// <summary>The ledger's writers fail until it is unblocked; everything else goes on.</summary>
    private Task BlockLedgerAsync() => ExecuteAsync("""
        CREATE OR REPLACE FUNCTION be_away() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'away' USING ERRCODE = 'cannot_connect_now';
        END $$;
        CREATE TRIGGER away BEFORE INSERT ON journal_batches FOR EACH ROW EXECUTE FUNCTION be_away();
        """);

    private Task UnblockLedgerAsync() => ExecuteAsync("DROP TRIGGER away ON journal_batches");

    private async Task ExecuteAsync(string sql)
    {
        await using var connection = await ConnectAsync();
        await connection.ExecuteAsync(sql);
    }

    private async Task<T> QueryAsync<T>(string sql)
    {
        await using var connection = await ConnectAsync();
        return await connection.QuerySingleAsync<T>(sql);
    }

    private async Task<NpgsqlConnection> ConnectAsync()
    {
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(_cluster.Database) { Pooling = false }.ToString());
        await connection.OpenAsync();
        return connection;
    }

    private static Task UntilAsync<T>(T expected, Func<Task<T>> read) => Await.TrueAsync(async () => Equals(await read(), expected), $"{expected}");

    private static async Task<long?> PendingAsync(GatewayEnvironment node, string journal) =>
        (long?)(await node.Admin.GetFromJsonAsync<JsonNode>("/v1/admin/journals"))!["items"]!.AsArray().Single(item => (string)item!["id"]! == journal)!["pending"];

    private static async Task<List<string>> StatesAsync(GatewayEnvironment node) =>
        [.. (await node.Admin.GetFromJsonAsync<JsonNode>("/v1/admin/journals"))!["items"]!.AsArray().Select(journal => (string)journal!["state"]!)];

    private static async Task<int> SummaryAsync(GatewayEnvironment node, string tenant) => (int)(await node.Admin.GetFromJsonAsync<JsonNode>(
        $"/v1/admin/costs/summary?tenantId={tenant}&from=2026-01-01T00:00:00Z&to=2040-01-01T00:00:00Z"))!["requestCount"]!;

    private static async Task<HttpStatusCode> CallAsync(HttpClient client, string key)
    {
        using var answer = await SendAsync(client, key);
        return answer.StatusCode;
    }

    private static Task<HttpResponseMessage> SendAsync(HttpClient client, string key) => client.SendAsync(new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
    {
        Headers = { Authorization = new("Bearer", key) },
        Content = JsonContent.Create(new { model = "mock/gpt-4o", messages = new[] { new { role = "user", content = "Hi" } } }),
    });
}
