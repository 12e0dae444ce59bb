using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using Dvara.Testing;

namespace Dvara.Benchmarks;

/// <summary>What a cluster costs and how fast it recovers; real processes on one machine with their PostgreSQL.</summary>
internal static class ClusterTimes
{
    private const int Calls = 3_000;
    private const int Rounds = 3;
    private const int Tenants = 30;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>The same calls, ended when the journal has the charge, and when the ledger has it.</summary>
    public static async Task<int> MeasureAcknowledgeAsync()
    {
        await using var upstream = await FakeUpstream.StartAsync();
        var times = new Dictionary<string, List<double>> { ["journal"] = [], ["ledger"] = [] };
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var (mode, measured) in times)
            {
                var database = await TestPostgres.NewDatabaseAsync();
                await using var cluster = new ProcessCluster(database, new Dictionary<string, string?>(upstream.Settings) { ["Dvara:Metering:Acknowledge"] = mode });
                await cluster.StartAsync(1);
                var (_, key) = await DrillLoad.NewKeyAsync(cluster.Silos[0].Admin);
                measured.AddRange(await CallAsync(cluster.Silos[0], key));
            }
        }

        foreach (var (mode, measured) in times)
        {
            measured.Sort();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"acknowledged by the {mode,-8} p50 {measured[measured.Count / 2]:0.000} ms, p99 {measured[measured.Count * 99 / 100]:0.000} ms of {measured.Count} calls, one after the other"));
        }

        return 0;
    }

    /// <summary>How long some grain does not answer when its silo is killed, and when it freezes.</summary>
    public static async Task<int> MeasureRecoveryAsync()
    {
        foreach (var (name, end) in new (string, Func<GatewayProcess, Task>)[]
        {
            ("SIGKILL", silo => silo.KillAsync()),
            ("SIGSTOP", silo => { silo.Freeze(); return Task.CompletedTask; }),
        })
        {
            var times = new List<double>();
            for (var round = 0; round < Rounds; round++)
            {
                times.Add((await RecoverAsync(end)).TotalSeconds);
            }

            times.Sort();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"after {name}: all grains of {Tenants} tenants answer again after {times[Rounds / 2]:0.0} s (from {times[0]:0.0} to {times[^1]:0.0})"));
        }

        return 0;
    }

    private static async Task<List<double>> CallAsync(GatewayProcess silo, string key)
    {
        using var client = new HttpClient { BaseAddress = silo.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        var times = new List<double>(Calls);
        for (var call = 0; call < Calls + 500; call++)
        {
            var started = Stopwatch.GetTimestamp();
            using var answer = await client.PostAsync(
                "/v1/chat/completions", new StringContent("""{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]}""", Encoding.UTF8, "application/json"));
            answer.EnsureSuccessStatusCode();
            _ = await answer.Content.ReadAsByteArrayAsync();
            if (call >= 500)
            {
                times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
        }

        return times;
    }

    private static async Task<TimeSpan> RecoverAsync(Func<GatewayProcess, Task> endAsync)
    {
        await using var cluster = new ProcessCluster(await TestPostgres.NewDatabaseAsync(), new Dictionary<string, string?>());
        await cluster.StartAsync(3);
        var tenants = new List<string>();
        for (var tenant = 0; tenant < Tenants; tenant++)
        {
            tenants.Add((await DrillLoad.NewKeyAsync(cluster.Silos[0].Admin)).Tenant);
        }

        // Every tenant's grain is somewhere now.
        await Task.WhenAll(tenants.Select(tenant => AskUntilAnsweredAsync(cluster.Silos[0], tenant)));
        await endAsync(cluster.Silos[2]);
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(tenants.Select(tenant => AskUntilAnsweredAsync(cluster.Silos[0], tenant)));
        return Stopwatch.GetElapsedTime(started);
    }

    private static async Task AskUntilAnsweredAsync(GatewayProcess silo, string tenant)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            using var answer = await silo.Admin.PostAsJsonAsync(
                "/v1/admin/chargeback", new { tenantId = tenant, from = "2026-01-01T00:00:00Z", to = "2026-01-02T00:00:00Z" });
            if (answer.IsSuccessStatusCode)
            {
                return;
            }

            if (Stopwatch.GetElapsedTime(started) > Patience)
            {
                throw new TimeoutException($"{(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
            }

            using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
            await pause.WaitForNextTickAsync();
        }
    }
}
