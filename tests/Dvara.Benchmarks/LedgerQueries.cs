using System.Diagnostics;
using System.Globalization;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Statements;
using Dvara.Domain.Time;
using Dvara.Server.Chargeback;
using Dvara.Testing;
using Npgsql;

namespace Dvara.Benchmarks;

/// <summary>
/// Reports over a large ledger on PostgreSQL, through HTTP on a node. A tenth of the charges is one tenant's, a tenth is spread over a
/// hundred small tenants, the rest is one large tenant's; all of it in October 2026, and the rollups as the ledger writer would have made them.
/// </summary>
internal static class LedgerQueries
{
    private const int Repeats = 7;
    private const string Large = "00000000-0000-7000-8000-000000000001";
    private const string Middle = "00000000-0000-7000-8000-000000000002";
    private const string Small = "00000000-0000-7000-8000-000000000042";
    private const string October = "from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z";
    private const string Ragged = "from=2026-10-03T10:11:12Z&to=2026-10-30T20:21:22Z";

    private const string Tenants = """
        INSERT INTO tenants (id, name, status, metadata, tags, created_at_ms, updated_at_ms)
        SELECT ('00000000-0000-7000-8000-0000000000' || lpad(n::text, 2, '0'))::uuid, 'Tenant ' || n, 'ACTIVE', '{}', '{}', 0, 0 FROM generate_series(1, 99) n;
        """;

    // A UUIDv7 has its milliseconds in front; what follows only has to differ.
    private const string Charges = """
        INSERT INTO charges
        SELECT (lpad(to_hex(at_ms), 12, '0') || '7' || right(md5(n::text), 3) || '8' || left(md5(n::text), 15))::uuid, 0, 'ORIGINAL', 'SETTLED',
            (lpad(to_hex(at_ms), 12, '0') || '7' || left(md5(n::text), 3) || '8' || right(md5(n::text), 15))::uuid, 1,
            ('00000000-0000-7000-8000-0000000000' || lpad(tenant::text, 2, '0'))::uuid, ('00000000-0000-7000-8000-1000000000' || lpad(tenant::text, 2, '0'))::uuid,
            CASE n % 3 WHEN 0 THEN 'openai' WHEN 1 THEN 'anthropic' ELSE 'mock' END, 'model-' || n % 5, 'model', '/v1/chat/completions', 0,
            n % 4000, n % 100, NULL, n % 900, NULL, 0, (n % 1000) * 1000000, (n % 777) * 1000000, 0, 1, 0, 0, 0, 0,
            '00000000-0000-7000-8000-000000000009', '{"team":"team ' || n % 20 || '"}', NULL, at_ms, 202610, 800, 200, NULL, NULL, NULL,
            '00000000-0000-7000-8000-000000000008', n
        FROM (
            SELECT n, 1790812800000 + (n * 2678400000 / @total) AS at_ms, CASE WHEN n % 10 = 0 THEN 2 WHEN n % 10 = 1 THEN 3 + (n / 10 % 97) ELSE 1 END AS tenant
            FROM generate_series(@first, @last) n) numbers
        """;

    private const string Rollups = """
        INSERT INTO rollup_hours
        SELECT at_ms - at_ms % 3600000, tenant_id, api_key_id, provider, model, journal_id, sum(requests), sum(coalesce(uncached_input, 0)), sum(coalesce(cache_read, 0)), 0,
            sum(coalesce(output, 0)), 0, sum(input_cost_pico_usd), sum(output_cost_pico_usd), 0, 0, 0, 0, 0
        FROM charges GROUP BY 1, 2, 3, 4, 5, 6;
        INSERT INTO rollup_tag_hours
        SELECT at_ms - at_ms % 3600000, tenant_id, api_key_id, provider, model, journal_id, sum(requests), sum(coalesce(uncached_input, 0)), sum(coalesce(cache_read, 0)), 0,
            sum(coalesce(output, 0)), 0, sum(input_cost_pico_usd), sum(output_cost_pico_usd), 0, 0, 0, 0, 0, 'team', tags::json ->> 'team'
        FROM charges GROUP BY 1, 2, 3, 4, 5, 6, 21;
        ANALYZE;
        """;

    public static async Task<int> RunAsync(int charges)
    {
        var database = await TestPostgres.NewDatabaseAsync();
        try
        {
            await GenerateAsync(database, charges);
            await using var node = await GatewayEnvironment.StartAsync(new Dictionary<string, string?>
            {
                ["DVARA_POSTGRES"] = database, ["DVARA_MASTER_KEY"] = GatewayEnvironment.MasterKey, ["DVARA_ADVERTISED_IP"] = "127.0.0.1",
            });
            foreach (var tenant in new[] { Large, Middle, Small })
            {
                await PrintAsync($"tenant {tenant[^2..]}, by provider", () => GetAsync(node, $"costs/summary?{October}&tenantId={tenant}&groupBy=provider"));
                await PrintAsync($"tenant {tenant[^2..]}, by day", () => GetAsync(node, $"costs/summary?{October}&tenantId={tenant}&groupBy=day"));
                await PrintAsync($"tenant {tenant[^2..]}, by tag", () => GetAsync(node, $"costs/summary/by-tag?{October}&tenantId={tenant}&key=team"));
                await PrintAsync($"tenant {tenant[^2..]}, ragged window, by provider", () => GetAsync(node, $"costs/summary?{Ragged}&tenantId={tenant}&groupBy=provider"));
                await PrintAsync($"tenant {tenant[^2..]}, first page of rows", () => GetAsync(node, $"costs?{October}&tenantId={tenant}"));
            }

            await PrintAsync("all tenants, by provider", () => GetAsync(node, $"costs/summary?{October}&groupBy=provider"));
            await PrintAsync("all tenants, by tenant and day", () => GetAsync(node, $"costs/summary?{October}&groupBy=tenant,day"));
            await PrintAsync("all tenants, first page of rows", () => GetAsync(node, $"costs?{October}"));
            await PrintAsync("statement data of tenant 02", () => AddUpAsync(node));
        }
        finally
        {
            await TestPostgres.DropAsync(database);
        }

        return 0;
    }

    private static async Task GenerateAsync(string database, int charges)
    {
        const int part = 500_000;
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(database) { CommandTimeout = 0, Pooling = false }.ToString());
        await connection.OpenAsync();
        await connection.ExecuteAsync(Tenants);
        var started = Stopwatch.GetTimestamp();
        for (var first = 0L; first < charges; first += part)
        {
            await connection.ExecuteAsync(Charges, new { first, last = Math.Min(charges, first + part) - 1, total = (long)charges });
        }

        await connection.ExecuteAsync(Rollups);
        var bytes = await connection.QuerySingleAsync<long>("SELECT pg_database_size(current_database())");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{charges} charges made in {Stopwatch.GetElapsedTime(started).TotalSeconds:0} s; the database has {bytes / 1e9:0.0} GB"));
    }

    private static async Task GetAsync(GatewayEnvironment node, string path)
    {
        using var answer = await node.Admin.GetAsync("/v1/admin/" + path);
        answer.EnsureSuccessStatusCode();
        _ = await answer.Content.ReadAsByteArrayAsync();
    }

    private static Task AddUpAsync(GatewayEnvironment node)
    {
        var october = new DateTimeOffset(2026, 10, 1, 0, 0, 0, TimeSpan.Zero);
        var sheet = new StatementSheet(TimeWindow.MonthOf(october));
        return node.Services.GetRequiredService<BilledRowStore>().AddBilledAsync(sheet, new TenantId(Guid.Parse(Middle)), BillingMonth.Of(october), CancellationToken.None);
    }

    private static async Task PrintAsync(string what, Func<Task> runAsync)
    {
        var times = new List<double>();
        for (var repeat = 0; repeat < Repeats; repeat++)
        {
            var started = Stopwatch.GetTimestamp();
            await runAsync();
            times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }

        var first = times[0];
        times.Sort();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what,-45} median {times[Repeats / 2],7:0.0} ms, worst {times[^1],7:0.0} ms, first {first,7:0.0} ms"));
    }
}
