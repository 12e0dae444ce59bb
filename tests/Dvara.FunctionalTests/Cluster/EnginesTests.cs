using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.FunctionalTests.Costs;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>The same charges in SQLite and in PostgreSQL: every report is the same, byte for byte.</summary>
public sealed class EnginesTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Now = new(2026, 5, 2, 12, 34, 56, TimeSpan.Zero);
    private static readonly DateTimeOffset Start = new(2026, 3, 30, 22, 0, 0, TimeSpan.Zero);

    private readonly int _seed = Random.Shared.Next();
    private GatewayEnvironment _sqlite = null!;
    private GatewayEnvironment _postgres = null!;
    private string _database = "";

    public async ValueTask InitializeAsync()
    {
        _database = await TestPostgres.NewDatabaseAsync();
        _sqlite = await GatewayEnvironment.StartAsync(new Dictionary<string, string?> { ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey }, new StepClock(Now));
        _postgres = await GatewayEnvironment.StartAsync(
            new Dictionary<string, string?> { ["DVARA_POSTGRES"] = _database, ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey, ["DVARA_ADVERTISED_IP"] = "127.0.0.1" },
            new StepClock(Now));
        var charges = SomeCharges.Random(new Random(_seed), Start, Now, 1_500);
        foreach (var node in new[] { _sqlite, _postgres })
        {
            var database = node.Services.GetRequiredService<Database>();
            await database.WriteAsync(WriteLane.Admin, AddTenantsAsync, CancellationToken.None);
            await LedgerSeed.AddAsync(database, charges, Now, SomeCharges.TagValuesPerDay);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _sqlite.DisposeAsync();
        await _postgres.DisposeAsync();
        await TestPostgres.DropAsync(_database);
    }

    [Fact]
    public async Task Reports_OfBothEngines_AreTheSameBytes()
    {
        const string All = "from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z";
        var tenant = SomeCharges.Tenants[0];
        string[] paths =
        [
            $"costs?{All}&limit=1000", $"costs?{All}&tenantId={tenant}&limit=7", $"costs?{All}&state=ESTIMATED", $"costs?{All}&tag=team:a&provider=mock",
            $"costs/summary?{All}", $"costs/summary?from=2026-04-30T11:11:11.111Z&to=2026-05-02T10:59:59.999Z&groupBy=provider,model,apiKey",
            $"costs/summary?{All}&groupBy=day,tenant", $"costs/summary?from=2026-04-01T00:00:00Z&to=2026-05-03T00:00:00Z&groupBy=hour,tag:Project", $"costs/summary?{All}&groupBy=tag:team,tag:env",
            $"costs/summary/by-tag?{All}&key=env", $"costs/summary/by-tag?{All}&key=team&tenantId={tenant}",
            "pricing?limit=1000", "pricing?provider=openai", $"pricing/unpriced?{All}", "tenants", "tenants?metadata.plan=gold", $"audit/events?{All}&type=GATEWAY_REQUEST&limit=500",
            $"audit/events?{All}&type=GATEWAY_REQUEST&tenantId={tenant}",
        ];
        foreach (var path in paths)
        {
            await AssertSameAsync(path);
        }
    }

    [Fact]
    public async Task Statements_OfBothEngines_AreTheSameBytes()
    {
        foreach (var tenant in SomeCharges.Tenants)
        {
            var ids = new List<string>();
            foreach (var node in new[] { _sqlite, _postgres })
            {
                using var made = await node.Admin.PostAsJsonAsync("/v1/admin/chargeback", new { tenantId = tenant.ToString(), period = "2026-04" });
                made.EnsureSuccessStatusCode();
                ids.Add((string)(await made.Content.ReadFromJsonAsync<JsonObject>())!["id"]!);
            }

            foreach (var format in new[] { "csv", "pdf", "json" })
            {
                var sqlite = await _sqlite.Admin.GetByteArrayAsync($"/v1/admin/chargeback/{ids[0]}/{format}");
                var postgres = await _postgres.Admin.GetByteArrayAsync($"/v1/admin/chargeback/{ids[1]}/{format}");
                Assert.True(WithoutIds(sqlite, ids).AsSpan().SequenceEqual(WithoutIds(postgres, ids)), $"seed {_seed}: the {format} of {tenant} differs");
            }
        }
    }

    private static async Task AddTenantsAsync(System.Data.Common.DbTransaction transaction)
    {
        var connection = transaction.Connection!;
        foreach (var (tenant, number) in SomeCharges.Tenants.Select((tenant, number) => (tenant, number)))
        {
            await connection.ExecuteAsync(
                "INSERT INTO tenants (id, name, status, metadata, tags, created_at_ms, updated_at_ms) VALUES (@tenant, @name, 'ACTIVE', @metadata, '{}', @now, @now)",
                new { tenant, name = $"Ténant {number} <&>", metadata = number == 1 ? """{"plan":"gold"}""" : "{}", now = Start },
                transaction);
            foreach (var key in SomeCharges.Keys.Skip(number * 2).Take(2))
            {
                await connection.ExecuteAsync(
                    """
                    INSERT INTO api_keys (id, tenant_id, name, hash, prefix, status, hidden, scopes, models, tags, created_at_ms, updated_at_ms)
                    VALUES (@key, @tenant, @name, @hash, 'gw_00000000', 'ACTIVE', @hidden, '[]', '[]', '{}', @now, @now)
                    """,
                    new { key, tenant, name = $"key {key}", hash = key.Value.ToByteArray().Concat(new byte[16]).ToArray(), hidden = false, now = Start },
                    transaction);
            }
        }
    }

    private async Task AssertSameAsync(string path)
    {
        string? next = null;
        do
        {
            var page = $"/v1/admin/{path}{(next is null ? "" : "&cursor=" + Uri.EscapeDataString(next))}";
            var sqlite = await GetAsync(_sqlite, page);
            Assert.Equal(sqlite, await GetAsync(_postgres, page));
            next = JsonNode.Parse(sqlite)!["nextCursor"]?.GetValue<string>();
        }
        while (next is not null);
    }

    private static async Task<string> GetAsync(GatewayEnvironment node, string path)
    {
        using var answer = await node.Admin.GetAsync(path);
        var text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode ? text : throw new InvalidOperationException($"{path}: {text}");
    }

    /// <summary>A statement's own id is made up anew; its hash covers it.</summary>
    private static byte[] WithoutIds(byte[] document, IEnumerable<string> ids) =>
        Encoding.Latin1.GetBytes(ids.Aggregate(Encoding.Latin1.GetString(document), (text, id) => text.Replace(id, "", StringComparison.Ordinal)));
}
