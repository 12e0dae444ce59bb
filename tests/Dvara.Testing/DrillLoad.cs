using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Dvara.Testing;

/// <summary>
/// The calls of a drill and their truth: who was answered, and what the upstream did by its own log. Held against the ledger at the end:
/// nothing lost, nothing charged twice, nothing settled that the provider did not do.
/// </summary>
public sealed class DrillLoad(int seed)
{
    private readonly ConcurrentDictionary<string, (int Prompt, int Completion)> _upstreamCalls = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, byte> _answered = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _failures = new();
    private TaskCompletionSource _running = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _calls;

    public int Calls => Volatile.Read(ref _calls);

    public int Answered => _answered.Count;

    public int UpstreamCalls => _upstreamCalls.Count;

    /// <summary>What went wrong in calls that were neither answered nor cut off, for a person to read.</summary>
    public IEnumerable<string> Failures => _failures;

    /// <summary>Ends with the next call that is answered.</summary>
    public Task NextAnswerAsync()
    {
        _running = new(TaskCreationOptions.RunContinuationsAsynchronously);
        return _running.Task;
    }

    /// <summary>Calls until it is told to stop or the gateway is gone.</summary>
    /// <param name="worker">Tells the callers apart.</param>
    /// <param name="client">Carries the key.</param>
    /// <param name="stop">After the call that is under way.</param>
    public async Task CallUntilAsync(int worker, HttpClient client, CancellationToken stop)
    {
        var random = new Random(HashCode.Combine(seed, worker, Calls));
        while (!stop.IsCancellationRequested)
        {
            if (!await CallAsync(client, random.Next(2) == 0))
            {
                return;
            }
        }
    }

    /// <returns>False when the gateway is gone.</returns>
    public async Task<bool> CallAsync(HttpClient client, bool stream)
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
            else
            {
                _failures.Enqueue($"{marker}: {(int)answer.StatusCode} {text[..Math.Min(200, text.Length)]}");
            }

            return true;
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or TaskCanceledException)
        {
            return false;
        }
    }

    /// <summary>Like the real API, with token counts of its own for every call, in pieces, and not at once.</summary>
    public async Task AnswerAsync(HttpContext httpContext, UpstreamCall call)
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

    /// <summary>Charges of calls that never reached the upstream.</summary>
    public int WithoutUpstream(IEnumerable<JsonNode> lines) => lines.Count(line => !_upstreamCalls.ContainsKey((string)line["endUser"]!));

    /// <param name="lines">Every line of the ledger, as <c>/costs</c> shows it.</param>
    /// <param name="openMax">So many calls can have been open when something died: charges without an upstream call are no more than that.</param>
    /// <returns>How many charges had no upstream call, and everything that must not be.</returns>
    public (int WithoutUpstream, List<string> Violations) Compare(IReadOnlyList<JsonNode> lines, int openMax)
    {
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

        if (withoutUpstream > openMax)
        {
            violations.Add($"{withoutUpstream} charges without an upstream call, more than the {openMax} calls open at the kills");
        }

        return (withoutUpstream, violations);
    }

    /// <summary>Every line of one tenant, or those from an instant on, through the API's own pages.</summary>
    public static async Task<List<JsonNode>> ReadLinesAsync(HttpClient admin, string tenant, string from = "2020-01-01T00:00:00Z")
    {
        var lines = new List<JsonNode>();
        string? cursor = null;
        do
        {
            using var answer = await admin.GetAsync(
                $"/v1/admin/costs?tenantId={tenant}&from={from}&to=2040-01-01T00:00:00Z&limit=1000{(cursor is null ? "" : "&cursor=" + Uri.EscapeDataString(cursor))}");
            if (!answer.IsSuccessStatusCode)
            {
                throw new HttpRequestException($"{admin.BaseAddress}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
            }

            var page = (await answer.Content.ReadFromJsonAsync<JsonNode>())!;
            lines.AddRange(page["items"]!.AsArray().Select(l => l!));
            cursor = (string?)page["nextCursor"];
        }
        while (cursor is not null);
        return lines;
    }

    /// <summary>A tenant with a key, made through the API.</summary>
    public static async Task<(string Tenant, string Key)> NewKeyAsync(HttpClient admin)
    {
        var tenant = await PostAsync("/v1/admin/tenants", new JsonObject { ["name"] = "Drill" });
        var key = await PostAsync($"/v1/admin/tenants/{tenant["id"]}/keys", new JsonObject { ["name"] = "drill" });
        return ((string)tenant["id"]!, (string)key["key"]!);

        async Task<JsonNode> PostAsync(string path, JsonObject body)
        {
            using var answer = await admin.PostAsJsonAsync(path, body);
            answer.EnsureSuccessStatusCode();
            return (await answer.Content.ReadFromJsonAsync<JsonNode>())!;
        }
    }
}
