using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Dvara.Testing;

namespace Dvara.Benchmarks;

/// <summary>The three processes that are compared, and a key.</summary>
internal sealed partial class Field : IAsyncDisposable
{
    private readonly List<Process> _processes = [];

    public required string Data { get; init; }

    public Uri Upstream { get; private set; } = null!;

    public Uri Yarp { get; private set; } = null!;

    public GatewayProcess Gateway { get; private set; } = null!;

    public string Key { get; private set; } = "";

    public static async Task<Field> StartAsync()
    {
        // Beside the checkout, on a real disk: a temporary folder may be memory.
        var field = new Field { Data = Directory.CreateDirectory(Path.Combine(Repository.Root, "data", "benchmark-" + Guid.NewGuid().ToString("N"))).FullName };
        field.Upstream = await field.StartSelfAsync("upstream");
        field.Yarp = await field.StartSelfAsync("yarp", field.Upstream.ToString());
        await field.RestartAsync();
        var tenant = await field.PostAsync("/v1/admin/tenants", new JsonObject { ["name"] = "Benchmark" });
        field.Key = (string)(await field.PostAsync($"/v1/admin/tenants/{tenant["id"]}/keys", new JsonObject { ["name"] = "benchmark" }))["key"]!;
        return field;
    }

    /// <summary>A key of a tenant of its own, with caps on tenant, key, model and tag.</summary>
    public async Task<string> NewCappedKeyAsync()
    {
        var tenant = (string)(await PostAsync("/v1/admin/tenants", new JsonObject { ["name"] = "Capped" }))["id"]!;
        var key = await PostAsync($"/v1/admin/tenants/{tenant}/keys", new JsonObject { ["name"] = "capped" });
        foreach (var scope in (JsonObject[])
        [
            [],
            new() { ["apiKeyId"] = (string)key["id"]! },
            new() { ["model"] = "gpt-4o*" },
            new() { ["tag"] = new JsonObject { ["key"] = "team", ["value"] = "search" } },
        ])
        {
            scope["tenantId"] = tenant;
            scope["name"] = "cap";
            scope["period"] = "MONTHLY";
            scope["limitUsd"] = 1_000_000;
            await PostAsync("/v1/admin/budgets", scope);
        }

        return (string)key["key"]!;
    }

    /// <summary>Bytes that the gateway's process allocated per request while <paramref name="load"/> ran, from its own metrics.</summary>
    public async Task<double> AllocatedAsync(Func<Task<SideBySide.Run>> load)
    {
        var before = await MetricAsync("dotnet_gc_heap_total_allocated_bytes_total");
        var started = Stopwatch.GetTimestamp();
        var run = await load();
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return (await MetricAsync("dotnet_gc_heap_total_allocated_bytes_total") - before) / (run.PerSecond * seconds);
    }

    /// <summary>Starts the gateway on the folder that the last one left.</summary>
    public async Task RestartAsync() => Gateway = await GatewayProcess.StartAsync(Data, new Dictionary<string, string?>
    {
        ["DVARA_OPENAI_BASE_URL"] = new Uri(Upstream, "v1").ToString(),
        ["DVARA_OPENAI_API_KEY"] = "sk-benchmark",
    });

    public double GatewayResidentMb() => Gateway.ResidentBytes / 1048576.0;

    public async ValueTask DisposeAsync()
    {
        await Gateway.DisposeAsync();
        foreach (var process in _processes)
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }

        Directory.Delete(Data, recursive: true);
    }

    private async Task<double> MetricAsync(string name)
    {
        var text = await Gateway.Admin.GetStringAsync("/metrics");
        var line = text.Split('\n').First(l => l.StartsWith(name, StringComparison.Ordinal));
        return double.Parse(NumberPattern().Match(line).Value, CultureInfo.InvariantCulture);
    }

    private async Task<Uri> StartSelfAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Dvara.Benchmarks.dll"), .. arguments]) { RedirectStandardOutput = true };
        var process = Process.Start(start)!;
        _processes.Add(process);
        return new Uri(await process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException($"{arguments[0]} did not start."));
    }

    private async Task<JsonNode> PostAsync(string path, JsonObject body)
    {
        using var answer = await Gateway.Admin.PostAsJsonAsync(path, body);
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonNode>())!;
    }

    [GeneratedRegex(@"[\d.eE+]+(?=\s|$)")]
    private static partial Regex NumberPattern();
}
