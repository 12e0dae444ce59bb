using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Dvara.Testing;

/// <summary>What a drill saw; every list but the counts must be empty.</summary>
public sealed record KillReport(int Kills, int Calls, int Answered, int UpstreamCalls, int Charges, int WithoutUpstream, int OpenAtKills, IReadOnlyList<string> Violations)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Kills} kills, {Calls} calls, {Answered} answered, {UpstreamCalls} upstream, {Charges} charges, {WithoutUpstream} without an upstream call of at most {OpenAtKills}");
}

/// <summary>
/// Kills a real gateway under load, again and again on one data folder, and then holds its ledger against the upstream's own log:
/// nothing lost, nothing charged twice, nothing settled that the provider did not do.
/// </summary>
public sealed class KillDrill(int kills, int seed) : IDisposable
{
    private const int Workers = 12;

    private readonly Random _random = new(seed);
    private readonly string _data = Directory.CreateTempSubdirectory("dvara-kill-").FullName;
    private readonly ConcurrentDictionary<string, (int Prompt, int Completion)> _upstreamCalls = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, byte> _answered = new(StringComparer.Ordinal);
    private TaskCompletionSource _running = new();
    private int _calls;
    private int _openAtKills;

    public async Task<KillReport> RunAsync()
    {
        await using var upstream = await FakeUpstream.StartAsync();
        upstream.Answer = AnswerAsync;
        var (tenant, key) = await PrepareAsync(upstream);
        for (var kill = 0; kill < kills; kill++)
        {
            await KillUnderLoadAsync(upstream, key);
        }

        return await CompareAsync(upstream, tenant);
    }

    public void Dispose() => Directory.Delete(_data, recursive: true);

    private async Task<(string Tenant, string Key)> PrepareAsync(FakeUpstream upstream)
    {
        await using var gateway = await GatewayProcess.StartAsync(_data, upstream.Settings);
        var tenant = await PostAsync(gateway, "/v1/admin/tenants", new JsonObject { ["name"] = "Drill" });
        var key = await PostAsync(gateway, $"/v1/admin/tenants/{tenant["id"]}/keys", new JsonObject { ["name"] = "drill" });
        return ((string)tenant["id"]!, (string)key["key"]!);
    }

    private async Task KillUnderLoadAsync(FakeUpstream upstream, string key)
    {
        await using var gateway = await GatewayProcess.StartAsync(_data, upstream.Settings);
        using var client = new HttpClient { BaseAddress = gateway.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using var stop = new CancellationTokenSource();
        _running = new(TaskCreationOptions.RunContinuationsAsynchronously);
        var moment = TimeSpan.FromMilliseconds(_random.Next(20, 700));
        var workers = Enumerable.Range(0, Workers).Select(async worker =>
        {
            var random = new Random(HashCode.Combine(seed, worker, Volatile.Read(ref _calls)));
            while (!stop.IsCancellationRequested)
            {
                if (!await CallAsync(client, random.Next(2) == 0))
                {
                    return;
                }
            }
        }).ToList();

        // One kill in four may come before anything is answered; the others come when the load runs, however slow the machine is.
        if (_random.Next(4) > 0)
        {
            await _running.Task.WaitAsync(TimeSpan.FromMinutes(1));
        }

        // The random moment is the test: nothing is waited for.
        using var timer = new PeriodicTimer(moment);
        await timer.WaitForNextTickAsync();
        // Each worker has at most one call open; the kill itself is not an instant.
        _openAtKills += Workers;
        await gateway.KillAsync();
        await stop.CancelAsync();
        await Task.WhenAll(workers);
    }

    /// <returns>False when the gateway is gone.</returns>
    private async Task<bool> CallAsync(HttpClient client, bool stream)
    {
        var marker = "call-" + Interlocked.Increment(ref _calls).ToString(CultureInfo.InvariantCulture);
        var body = $$"""{"model":"gpt-4o","user":"{{marker}}","stream":{{(stream ? "true" : "false")}},"messages":[{"role":"user","content":"Hi"}]}""";
        try
        {
            using var answer = await client.PostAsync("/v1/chat/completions", new StringContent(body, Encoding.UTF8, "application/json"));
            var text = await answer.Content.ReadAsStringAsync();
            if (answer.IsSuccessStatusCode && (!stream || text.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal)))
            {
                _answered[marker] = 0;
                _running.TrySetResult();
            }

            return true;
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            return false;
        }
    }

    /// <summary>Like the real API, with token counts of its own for every call, in pieces, and not at once.</summary>
    private async Task AnswerAsync(HttpContext httpContext, UpstreamCall call)
    {
        var request = JsonNode.Parse(call.Text)!;
        var marker = (string)request["user"]!;
        var tokens = (Prompt: 100 + call.Number, Completion: 1 + (call.Number % 500));
        if (!_upstreamCalls.TryAdd(marker, tokens))
        {
            throw new InvalidOperationException($"{marker} reached the upstream twice.");
        }

        var usage = $$"""{"prompt_tokens":{{tokens.Prompt}},"completion_tokens":{{tokens.Completion}},"total_tokens":{{tokens.Prompt + tokens.Completion}}}""";
        if ((bool?)request["stream"] == true)
        {
            var stream = Recorded.ChatStream(usage: true).Replace(Recorded.Usage, usage, StringComparison.Ordinal);
            await Recorded.WriteAsync(httpContext, "text/event-stream", default);
            foreach (var part in stream.Chunk(400))
            {
                await httpContext.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(part));
                await httpContext.Response.Body.FlushAsync();
                await Task.Yield();
            }

            return;
        }

        await Recorded.WriteAsync(httpContext, "application/json", Encoding.UTF8.GetBytes(Recorded.Chat(usage)));
    }

    private async Task<KillReport> CompareAsync(FakeUpstream upstream, string tenant)
    {
        await using var gateway = await GatewayProcess.StartAsync(_data, upstream.Settings);
        var lines = await ReadAsync(gateway, tenant);
        var violations = new List<string>();
        var byMarker = lines.GroupBy(l => (string)l["endUser"]!, StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.ToList(), StringComparer.Ordinal);
        violations.AddRange(lines.GroupBy(l => (string)l["id"]!, StringComparer.Ordinal).Where(g => g.Count() > 1).Select(g => $"id {g.Key} is there {g.Count()} times"));
        violations.AddRange(byMarker.Where(m => m.Value.Count > 1).Select(m => $"{m.Key} has {m.Value.Count} charges"));
        violations.AddRange(_upstreamCalls.Keys.Where(m => !byMarker.ContainsKey(m)).Select(m => $"{m} reached the upstream and has no charge"));
        var withoutUpstream = 0;
        foreach (var (marker, charges) in byMarker)
        {
            var state = (string)charges[0]["state"]!;
            if (_answered.ContainsKey(marker) && state is not ("SETTLED" or "ESTIMATED"))
            {
                violations.Add($"{marker} was answered and is {state}");
            }

            if (!_upstreamCalls.TryGetValue(marker, out var tokens))
            {
                withoutUpstream++;
                if (state is not ("FAILED" or "UNRESOLVED"))
                {
                    violations.Add($"{marker} never reached the upstream and is {state}");
                }
            }
            else if (state == "SETTLED" && ((int)charges[0]["inputTokens"]! != tokens.Prompt || (int)charges[0]["outputTokens"]! != tokens.Completion))
            {
                violations.Add($"{marker} is settled with other tokens than the upstream's");
            }
        }

        if (withoutUpstream > _openAtKills)
        {
            violations.Add($"{withoutUpstream} charges without an upstream call, more than the {_openAtKills} calls open at the kills");
        }

        // A drill in which answers fail for another reason than the kills proves little.
        if (_answered.Count < _calls - _openAtKills)
        {
            violations.Add($"{_calls - _answered.Count} calls were not answered, more than the {_openAtKills} open at the kills");
        }

        return new(kills, _calls, _answered.Count, _upstreamCalls.Count, lines.Count, withoutUpstream, _openAtKills, violations);
    }

    private static async Task<List<JsonNode>> ReadAsync(GatewayProcess gateway, string tenant)
    {
        var lines = new List<JsonNode>();
        string? cursor = null;
        do
        {
            var page = await gateway.Admin.GetFromJsonAsync<JsonNode>(
                $"/v1/admin/costs?tenantId={tenant}&from=2020-01-01T00:00:00Z&to=2040-01-01T00:00:00Z&limit=1000{(cursor is null ? "" : "&cursor=" + Uri.EscapeDataString(cursor))}");
            lines.AddRange(page!["items"]!.AsArray().Select(l => l!));
            cursor = (string?)page["nextCursor"];
        }
        while (cursor is not null);
        return lines;
    }

    private static async Task<JsonNode> PostAsync(GatewayProcess gateway, string path, JsonObject body)
    {
        using var answer = await gateway.Admin.PostAsJsonAsync(path, body);
        answer.EnsureSuccessStatusCode();
        return JsonSerializer.Deserialize<JsonNode>(await answer.Content.ReadAsStringAsync())!;
    }
}
