using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Dvara.Server.ApiKeys;
using Dvara.Testing;

namespace Dvara.Benchmarks;

/// <summary>How long "whose key is this" takes: the first time through grain and database, then from this silo's cache.</summary>
internal static class Lookup
{
    private const int Keys = 500;
    private const int WarmCalls = 1_000_000;

    public static async Task<int> RunAsync()
    {
        await using var environment = await GatewayEnvironment.StartAsync();
        var tenant = await PostAsync(environment, "/v1/admin/tenants", new JsonObject { ["name"] = "Benchmark" });
        var keys = new List<string>();
        for (var i = 0; i < Keys; i++)
        {
            keys.Add((string)(await PostAsync(environment, $"/v1/admin/tenants/{tenant["id"]}/keys", new JsonObject { ["name"] = $"key {i}" }))["key"]!);
        }

        var cache = environment.Services.GetRequiredService<ApiKeyCache>();
        var first = new List<double>(Keys);
        foreach (var key in keys)
        {
            first.Add(await MicrosecondsAsync(cache, key));
        }

        var warm = new List<double>(WarmCalls);
        for (var i = 0; i < WarmCalls; i++)
        {
            warm.Add(await MicrosecondsAsync(cache, keys[i % Keys]));
        }

        Print("first use", first);
        Print("warm", warm);
        return 0;
    }

    private static async ValueTask<double> MicrosecondsAsync(ApiKeyCache cache, string key)
    {
        var started = Stopwatch.GetTimestamp();
        _ = await cache.FindAsync(key, CancellationToken.None);
        return Stopwatch.GetElapsedTime(started).TotalMicroseconds;
    }

    private static void Print(string name, List<double> microseconds)
    {
        microseconds.Sort();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"key lookup, {name,-9}: p50 {microseconds[microseconds.Count / 2]:0.00} us, p99 {microseconds[microseconds.Count * 99 / 100]:0.00} us of {microseconds.Count}"));
    }

    private static async Task<JsonNode> PostAsync(GatewayEnvironment environment, string path, JsonObject body)
    {
        using var answer = await environment.Admin.PostAsJsonAsync(path, body);
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonNode>())!;
    }
}
