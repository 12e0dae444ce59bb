using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using Dapper;
using Dvara.Server.Budgets;
using Dvara.Server.Metering;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>deploy/postgres/roles.sql, as an operator uses it: a role that owns the schema, and one that silos run as.</summary>
public sealed class RolesTests : IAsyncLifetime
{
    private string _superuser = "";

    public async ValueTask InitializeAsync()
    {
        _superuser = await TestPostgres.NewEmptyDatabaseAsync();
        var roles = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "deploy", "postgres", "roles.sql"));
        await using var connection = await ConnectAsync(_superuser);
        await connection.ExecuteAsync(roles);
        await connection.ExecuteAsync(roles);
    }

    public async ValueTask DisposeAsync() => await TestPostgres.DropAsync(_superuser);

    [Fact]
    public async Task Application_OnASchemaThatNobodyHasMade_DoesNotStart()
    {
        await using var pools = new PostgresPools(As("dvara_app"));

        var refusal = await Assert.ThrowsAsync<MigrationException>(() => PostgresMigrator.PrepareAsync(pools, CancellationToken.None));

        Assert.Contains("Run the command migrate", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Application_OnAMigratedSchema_RunsAndCannotAlterTheLedger()
    {
        await using (var migrator = new PostgresPools(As("dvara_migrator")))
        {
            await PostgresMigrator.MigrateAsync(migrator, CancellationToken.None);
            await PostgresMigrator.MigrateAsync(migrator, CancellationToken.None);
        }

        await using (var node = await GatewayEnvironment.StartAsync(new Dictionary<string, string?>
        {
            ["DVARA_POSTGRES"] = As("dvara_app"),
            ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey,
            ["DVARA_ADVERTISED_IP"] = "127.0.0.1",
        }))
        {
            await UseEverythingAsync(node);
        }

        await using var application = await ConnectAsync(As("dvara_app"));
        Assert.Equal(1, await application.QuerySingleAsync<long>("SELECT count(*) FROM charges"));
        foreach (var forbidden in new[]
        {
            "UPDATE charges SET state = 'FAILED'", "DELETE FROM charges", "TRUNCATE charges", "UPDATE audit_events SET actor = 'nobody'", "DELETE FROM audit_events",
            "UPDATE statements SET status = 'FINAL'", "DELETE FROM statement_documents", "DELETE FROM closed_months", "DELETE FROM quarantined_charges",
            "DELETE FROM journal_batches", "DELETE FROM tenants", "CREATE TABLE mine (a int)", "DROP TABLE charges", "ALTER TABLE charges DISABLE TRIGGER ALL",
            "UPDATE installation SET value = ''",
        })
        {
            var refusal = await Assert.ThrowsAsync<PostgresException>(() => application.ExecuteAsync(forbidden));
            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refusal.SqlState);
        }
    }

    [Fact]
    public async Task Shipment_ThatTheRoleMayNotMake_SaysSo_AndIsMadeOnceItMay()
    {
        await using (var migrator = new PostgresPools(As("dvara_migrator")))
        {
            await PostgresMigrator.MigrateAsync(migrator, CancellationToken.None);
        }

        await using var superuser = await ConnectAsync(_superuser);
        var folder = Directory.CreateTempSubdirectory("dvara-gone-");
        try
        {
            await using (var silo = await GatewayProcess.StartAsync(folder.FullName, new Dictionary<string, string?>
            {
                ["DVARA_POSTGRES"] = As("dvara_app"), ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey, ["DVARA_ADVERTISED_IP"] = "127.0.0.1",
            }))
            {
                var (_, key) = await DrillLoad.NewKeyAsync(silo.Admin);
                await superuser.ExecuteAsync("REVOKE INSERT ON dvara.charges FROM dvara_app");
                using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
                {
                    Headers = { Authorization = new("Bearer", key) },
                    Content = JsonContent.Create(new { model = "mock/gpt-4o", messages = new[] { new { role = "user", content = "Hi" } } }),
                };
                using var answer = await silo.Admin.SendAsync(request);
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                await silo.KillAsync();
            }

            var denied = await Assert.ThrowsAsync<PostgresException>(ShipAsync);
            await superuser.ExecuteAsync("GRANT INSERT ON dvara.charges TO dvara_app; REVOKE UPDATE ON dvara.leases FROM dvara_app");
            var open = await Assert.ThrowsAsync<IOException>(ShipAsync);
            await superuser.ExecuteAsync("GRANT UPDATE ON dvara.leases TO dvara_app");
            var shipped = await ShipAsync();

            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, denied.SqlState);
            Assert.Contains("could not be closed", open.Message, StringComparison.Ordinal);
            Assert.Contains("and closed", shipped, StringComparison.Ordinal);
            Assert.Equal((1, "CLOSED"), await superuser.QuerySingleAsync<(int, string)>("SELECT (SELECT count(*) FROM dvara.charges)::int, (SELECT state FROM dvara.journals)"));
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        async Task<string> ShipAsync()
        {
            await using var pools = new PostgresPools(As("dvara_app"));
            return await JournalShipment.RunAsync(
                pools, folder.FullName, adopt: false, new(), [new BudgetLedger(new CapBookState(), TimeProvider.System)], NullLoggerFactory.Instance, CancellationToken.None);
        }
    }

    /// <summary>A setting of the role is what connections begin with: the ledger's old ones do not have it, and those made meanwhile keep it.</summary>
    [Fact]
    public async Task Ledger_ThatForgetsFromNowOn_MakesSilosNotReady()
    {
        await using var node = await GatewayEnvironment.StartAsync(new Dictionary<string, string?>
        {
            ["DVARA_POSTGRES"] = As("dvara_migrator"), ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey, ["DVARA_ADVERTISED_IP"] = "127.0.0.1",
        });
        await using var superuser = await ConnectAsync(_superuser);
        var database = new NpgsqlConnectionStringBuilder(_superuser).Database;
        var ledger = node.Services.GetRequiredService<PostgresPools>().Ledger;
        await MakeAllAsync();
        Assert.Equal("ready", await AskAsync());

        await superuser.ExecuteAsync($"ALTER ROLE dvara_migrator IN DATABASE {database} SET synchronous_commit = off");
        try
        {
            Assert.Contains("synchronous_commit is off", await AskAsync(), StringComparison.Ordinal);
            ledger.Clear();
            await MakeAllAsync();
        }
        finally
        {
            await superuser.ExecuteAsync($"ALTER ROLE dvara_migrator IN DATABASE {database} RESET synchronous_commit");
        }

        Assert.Contains("synchronous_commit is off", await AskAsync(), StringComparison.Ordinal);
        ledger.Clear();
        Assert.Equal("ready", await AskAsync());

        // A full pool makes no other connections for minutes.
        async Task MakeAllAsync() => await (await FullPool.FillAsync(ledger)).DisposeAsync();

        async Task<string> AskAsync()
        {
            await node.Services.GetRequiredService<PostgresDurability>().AskAsync(CancellationToken.None);
            using var answer = await node.Client.GetAsync("/readyz");
            return await answer.Content.ReadAsStringAsync();
        }
    }

    [Fact]
    public async Task Ledger_ThatWouldForget_IsRefused()
    {
        await using var superuser = await ConnectAsync(_superuser);
        await superuser.ExecuteAsync($"ALTER DATABASE {new NpgsqlConnectionStringBuilder(_superuser).Database} SET synchronous_commit = off");
        await using var pools = new PostgresPools(_superuser);

        var refusal = await Assert.ThrowsAsync<MigrationException>(() => PostgresMigrator.PrepareAsync(pools, CancellationToken.None));

        Assert.Contains("synchronous_commit is off", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Migrate_BesideASilo_Runs()
    {
        // The silo's port is in use; the command does not need it.
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();

        var said = await Shell.RunAsync(
            Path.GetTempPath(), TimeSpan.FromMinutes(1), "dotnet", Path.Combine(AppContext.BaseDirectory, "Dvara.Server.dll"), "migrate",
            $"DVARA_POSTGRES={As("dvara_migrator")}", $"DVARA_SILO_PORT={((IPEndPoint)listener.LocalEndpoint).Port}");

        Assert.Contains("newest schema", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Migrations_OfManyAtOnce_RunOnce()
    {
        await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            await using var pools = new PostgresPools(As("dvara_migrator"));
            await PostgresMigrator.PrepareAsync(pools, CancellationToken.None);
        }));

        await using var migrator = await ConnectAsync(As("dvara_migrator"));
        var applied = (await migrator.QueryAsync<string>("SELECT scriptname FROM schemaversions")).ToList();
        Assert.Equal(applied.Distinct(), applied);
    }

    /// <summary>Every kind of write that a silo makes: admin writes, a charge, a statement, a token that is deleted.</summary>
    private static async Task UseEverythingAsync(GatewayEnvironment node)
    {
        var (tenant, key) = await DrillLoad.NewKeyAsync(node.Admin);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Headers = { Authorization = new("Bearer", key) },
            Content = JsonContent.Create(new { model = "mock/gpt-4o", messages = new[] { new { role = "user", content = "Hi" } }, metadata = new { tags = new { team = "a" } } }),
        };
        using var answer = await node.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        using var priced = await node.Admin.PostAsJsonAsync("/v1/admin/pricing", new { provider = "mock", model = "x", inputPerMillionUsd = 1, outputPerMillionUsd = 2 });
        Assert.Equal(HttpStatusCode.Created, priced.StatusCode);
        using var token = await node.Admin.PostAsJsonAsync("/v1/admin/tokens", new { name = "t", role = "viewer" });
        using var deleted = await node.Admin.DeleteAsync(token.Headers.Location);
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        using var statement = await node.Admin.PostAsJsonAsync("/v1/admin/chargeback", new { tenantId = tenant, from = "2026-01-01T00:00:00Z", to = "2040-01-01T00:00:00Z" });
        Assert.Equal(HttpStatusCode.Created, statement.StatusCode);
    }

    private string As(string role) => new NpgsqlConnectionStringBuilder(_superuser) { Username = role }.ToString();

    private static async Task<NpgsqlConnection> ConnectAsync(string connectionString)
    {
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ToString());
        await connection.OpenAsync();
        return connection;
    }
}
