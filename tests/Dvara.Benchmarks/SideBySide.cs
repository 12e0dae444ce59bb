using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Dvara.Benchmarks;

/// <summary>
/// Upstream alone, bare YARP and the gateway with everything on (key, tags, durable journal, ledger), each a process of its own, in one
/// run, alternating. Only ratios and differences mean something: the machine is small and noisy. Needs <c>wrk</c>.
/// </summary>
internal static partial class SideBySide
{
    private const int Rounds = 5;
    private const int Seconds = 6;

    private const string Whole =
        """{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"metadata":{"tags":{"team":"search","project":"apollo"}}}""";

    private const string Streamed =
        """{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}],"metadata":{"tags":{"team":"search","project":"apollo"}}}""";

    public static async Task<int> RunAsync()
    {
        await using var field = await Field.StartAsync();
        Console.WriteLine($"fsync of this folder: {Median(Fsyncs(field.Data)):0.000} ms (median of 200)");
        foreach (var (name, body) in new[] { ("whole", Whole), ("streamed", Streamed) })
        {
            await CompareAsync(field, name, body, connections: 32);
            await CompareAsync(field, name, body, connections: 1);
        }

        return 0;
    }

    /// <summary>A call through each side, and one comparison, as short as <c>wrk</c> can.</summary>
    public static async Task<int> SmokeAsync()
    {
        await using var field = await Field.StartAsync();
        foreach (var address in (Uri[])[field.Upstream, field.Yarp, field.Gateway.BaseAddress])
        {
            await CallAsync(address, field.Key);
        }

        await CompareAsync(field, "whole", Whole, connections: 1, rounds: 1, seconds: 1, warmUpSeconds: 0);
        return 0;
    }

    /// <summary>Bytes allocated per request, from the gateway's own metrics, warm.</summary>
    public static async Task<int> MeasureAllocationsAsync()
    {
        await using var field = await Field.StartAsync();
        foreach (var (name, body) in ((string, string)[])[("whole", Whole), ("streamed", Streamed)])
        {
            await WrkAsync(field.Gateway.BaseAddress, field.Key, body, 8, 10);
            var bytes = await field.AllocatedAsync(() => WrkAsync(field.Gateway.BaseAddress, field.Key, body, 8, 5));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {bytes:0} bytes allocated per request in the gateway's process"));
        }

        return 0;
    }

    /// <summary>Sends so many requests and prints the process's memory on the way.</summary>
    public static async Task<int> MeasureMemoryAsync(int requests)
    {
        await using var field = await Field.StartAsync();
        var sent = 0.0;
        while (sent < requests)
        {
            var run = await WrkAsync(field.Gateway.BaseAddress, field.Key, Whole, 32, 5);
            sent += run.PerSecond * 5;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{sent,9:0} requests: {field.GatewayResidentMb():0} MB resident"));
        }

        return 0;
    }

    /// <summary>Starts the gateway again and again on one data folder, each time until a call is answered.</summary>
    public static async Task<int> MeasureStartAsync()
    {
        await using var field = await Field.StartAsync();
        var seconds = new List<double>();
        for (var round = 0; round < 10; round++)
        {
            await field.Gateway.DisposeAsync();
            var started = Stopwatch.GetTimestamp();
            await field.RestartAsync();
            await CallAsync(field.Gateway.BaseAddress, field.Key);
            seconds.Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"start to first answered request: min {seconds.Min():0.00} s, median {Median(seconds):0.00} s, max {seconds.Max():0.00} s of {seconds.Count}"));
        return 0;
    }

    /// <summary>The same calls of two tenants of one gateway, in turns: one has four caps that cover each call, the other has none.</summary>
    public static async Task<int> MeasureCapsAsync()
    {
        await using var field = await Field.StartAsync();
        var capped = await field.NewCappedKeyAsync();
        foreach (var (name, body, connections) in ((string, string, int)[])[("whole", Whole, 32), ("whole", Whole, 1), ("streamed", Streamed, 32)])
        {
            var (free, under) = (new List<Run>(), new List<Run>());
            await WrkAsync(field.Gateway.BaseAddress, field.Key, body, connections, 3);
            await WrkAsync(field.Gateway.BaseAddress, capped, body, connections, 3);
            for (var round = 0; round < Rounds; round++)
            {
                free.Add(await WrkAsync(field.Gateway.BaseAddress, field.Key, body, connections, Seconds));
                under.Add(await WrkAsync(field.Gateway.BaseAddress, capped, body, connections, Seconds));
            }

            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{name}, {connections} connections: without caps {Median(free.Select(r => r.PerSecond)):0}, under four {Median(under.Select(r => r.PerSecond)):0} requests/s, ratio {Median(under.Zip(free, (u, f) => u.PerSecond / f.PerSecond)):0.00}; added p50 {Median(under.Zip(free, (u, f) => u.P50Ms - f.P50Ms)):0.000} ms; errors {free.Concat(under).Sum(r => r.Errors)}"));
        }

        return 0;
    }

    private static async Task CompareAsync(
        Field field, string name, string body, int connections, int rounds = Rounds, int seconds = Seconds, int warmUpSeconds = 3)
    {
        (string Name, Uri Address)[] sides = [("upstream", field.Upstream), ("yarp", field.Yarp), ("gateway", field.Gateway.BaseAddress)];
        var runs = sides.ToDictionary(s => s.Name, _ => new List<Run>(), StringComparer.Ordinal);
        foreach (var side in sides.Where(_ => warmUpSeconds > 0))
        {
            await WrkAsync(side.Address, field.Key, body, connections, warmUpSeconds);
        }

        for (var round = 0; round < rounds; round++)
        {
            foreach (var side in sides)
            {
                runs[side.Name].Add(await WrkAsync(side.Address, field.Key, body, connections, seconds));
            }
        }

        Console.WriteLine($"{name}, {connections} connections, {rounds} rounds of {seconds} s, medians:");
        foreach (var side in sides)
        {
            var of = runs[side.Name];
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {side.Name,-9} {Median(of.Select(r => r.PerSecond)),9:0} requests/s   p50 {Median(of.Select(r => r.P50Ms)),7:0.000} ms   p99 {Median(of.Select(r => r.P99Ms)),7:0.000} ms   errors {of.Sum(r => r.Errors)}"));
        }

        var ratio = Median(runs["gateway"].Zip(runs["yarp"], (g, y) => g.PerSecond / y.PerSecond));
        var p50 = Median(runs["gateway"].Zip(runs["yarp"], (g, y) => g.P50Ms - y.P50Ms));
        var p99 = Median(runs["gateway"].Zip(runs["yarp"], (g, y) => g.P99Ms - y.P99Ms));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  gateway / yarp {ratio:0.00}   added p50 {p50:0.000} ms   added p99 {p99:0.000} ms"));
    }

    private static async Task CallAsync(Uri address, string key)
    {
        using var client = new HttpClient { BaseAddress = address };
        client.DefaultRequestHeaders.Authorization = new("Bearer", key);
        using var answer = await client.PostAsync("/v1/chat/completions", new StringContent(Whole, Encoding.UTF8, "application/json"));
        answer.EnsureSuccessStatusCode();
    }

    private static async Task<Run> WrkAsync(Uri address, string key, string body, int connections, int seconds)
    {
        var script = Path.GetTempFileName();
        await File.WriteAllTextAsync(script, $"""
            wrk.method = "POST"
            wrk.body = [==[{body}]==]
            wrk.headers["Content-Type"] = "application/json"
            wrk.headers["Authorization"] = "Bearer {key}"
            """);
        var start = new ProcessStartInfo("wrk",
            ["-t1", $"-c{connections}", $"-d{seconds}s", "--latency", "-s", script, new Uri(address, "/v1/chat/completions").ToString()])
        { RedirectStandardOutput = true };
        using var wrk = Process.Start(start)!;
        var text = await wrk.StandardOutput.ReadToEndAsync();
        await wrk.WaitForExitAsync();
        File.Delete(script);
        return new(
            double.Parse(PerSecondPattern().Match(text).Groups[1].Value, CultureInfo.InvariantCulture),
            LatencyMs(text, "50%"),
            LatencyMs(text, "99%"),
            ErrorsPattern().Matches(text).Sum(m => int.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture)));
    }

    private static double LatencyMs(string text, string percentile)
    {
        var match = Regex.Match(text, Regex.Escape(percentile) + @"\s+([\d.]+)(us|ms|s)");
        var value = double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
        return match.Groups[2].Value switch { "us" => value / 1000, "ms" => value, _ => value * 1000 };
    }

    private static IEnumerable<double> Fsyncs(string folder)
    {
        using var file = new FileStream(Path.Combine(folder, "fsync.probe"), FileMode.Create, FileAccess.Write, FileShare.None, 1);
        for (var i = 0; i < 200; i++)
        {
            file.Write(new byte[4096]);
            var started = Stopwatch.GetTimestamp();
            file.Flush(flushToDisk: true);
            yield return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToList();
        return sorted[sorted.Count / 2];
    }

    [GeneratedRegex(@"Requests/sec:\s+([\d.]+)")]
    private static partial Regex PerSecondPattern();

    [GeneratedRegex(@"Non-2xx or 3xx responses: (\d+)")]
    private static partial Regex ErrorsPattern();

    internal readonly record struct Run(double PerSecond, double P50Ms, double P99Ms, int Errors);
}
