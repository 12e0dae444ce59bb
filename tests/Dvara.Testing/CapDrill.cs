using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Dvara.Testing;

/// <summary>What a drill of caps saw; every list must be empty.</summary>
/// <param name="Caps">So many were driven into their limit.</param>
/// <param name="LeastUsed">The smallest part of a limit that was spent, or is exposed, at the end.</param>
/// <param name="WorstAtOnce">The largest part of a limit that the upstream billed.</param>
public sealed record CapReport(
    int Caps, int Calls, int Admitted, int Refused, int Broken, int Faults, decimal LeastUsed, decimal WorstAtOnce, IReadOnlyList<string> Violations)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Caps} caps, {Faults} faults; {Calls} calls: {Admitted} admitted, {Refused} refused, {Broken} broken off; of the limits the upstream billed at most {WorstAtOnce:P1}, spent or exposed at the end at least {LeastUsed:P1}");
}

/// <summary>
/// Caps with room for about ten calls, each driven by hundreds at once on three silos, while silos are killed and frozen and PostgreSQL is
/// killed. The upstream's own log says what was billed: never more than the limit. Afterwards calls one after the other use up the rest.
/// </summary>
public sealed class CapDrill(int seed) : IAsyncDisposable
{
    private const int Silos = 3;
    private const decimal Limit = 0.5m;

    // Of a call with its 1,000 output tokens, at 50 USD per million.
    private const decimal Bound = 0.05m;
    private const decimal PerToken = 0.00005m;
    private const string Price = """{"provider":"openai","model":"dear","inputPerMillionUsd":0,"outputPerMillionUsd":50,"maxOutputTokens":128000}""";

    /// <summary>A silo that does not answer for so long has been declared dead by the others, and ends itself when it hears of it.</summary>
    private static readonly TimeSpan GivenUpAfter = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly Random _random = new(seed);
    private readonly ConcurrentDictionary<string, long> _billedTokens = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int> _atTheUpstream = new(StringComparer.Ordinal);
    private readonly List<CapUnderTest> _caps = [];
    private readonly ConcurrentQueue<string> _violations = new();
    private FakeUpstream _upstream = null!;
    private PostgresServer _postgres = null!;
    private ProcessCluster _cluster = null!;
    private int _calls;
    private int _admitted;
    private int _refused;
    private int _broken;
    private int _faults;

    public async Task StartAsync()
    {
        _upstream = await FakeUpstream.StartAsync();
        _upstream.Answer = AnswerAsync;
        _postgres = await PostgresServer.StartAsync();
        _cluster = new ProcessCluster(_postgres.ConnectionString, _upstream.Settings);
        await _cluster.StartAsync(Silos);
        using var priced = await Any.Admin.PostAsync("/v1/admin/pricing", new StringContent(Price, new MediaTypeHeaderValue("application/json")));
        priced.EnsureSuccessStatusCode();
    }

    /// <summary>Drives new caps into their limits while <paramref name="fault"/> happens, then uses up what is left.</summary>
    /// <param name="caps">So many at a time.</param>
    /// <param name="callsPerCap">At once.</param>
    /// <param name="fault">Null: none.</param>
    /// <param name="length">Of a fault that has a length.</param>
    public async Task DriveAsync(int caps, int callsPerCap, ClusterFault? fault, TimeSpan length)
    {
        var driven = await Task.WhenAll(Enumerable.Range(0, caps).Select(_ => NewCapAsync()));
        _caps.AddRange(driven);
        // A cap binds calls that are dispatched after every silo saw it.
        await Task.WhenAll(driven.SelectMany(cap => _cluster.Silos.Select(silo => AwaitKnownAsync(cap, silo))));
        var storm = Task.WhenAll(driven.SelectMany(cap => Enumerable.Range(0, callsPerCap).Select(call => CallAsync(cap, _cluster.Silos[call % Silos]))));
        if (fault is { } happens)
        {
            _faults++;
            await PassAsync(TimeSpan.FromMilliseconds(_random.Next(5, 300)));
            await SufferAsync(happens, length);
        }

        await storm;
        await RestartDeadAsync();
        await Task.WhenAll(driven.Select(UseUpAsync));
    }

    public async Task<CapReport> ReportAsync()
    {
        // A silo ships its journal before it answers.
        await Task.WhenAll(_cluster.Silos.Select(silo => silo.Admin.UsageAsync(_caps[0].Budget)));
        var (least, worst) = (decimal.MaxValue, 0m);
        foreach (var cap in _caps)
        {
            var billed = _billedTokens.GetValueOrDefault(cap.Tenant) * PerToken;
            var usage = await Any.Admin.UsageAsync(cap.Budget);
            var (spent, exposed) = ((decimal)usage["spentUsd"]!, (decimal)usage["exposureUsd"]!);
            worst = Math.Max(worst, billed / Limit);
            least = Math.Min(least, (spent + exposed) / Limit);
            Expect(billed <= Limit, $"the upstream billed {billed} of {Limit} to cap {cap.Budget["id"]}");
            Expect(spent + exposed <= Limit, $"cap {cap.Budget["id"]} has spent {spent} and exposes {exposed} of {Limit}");
            Expect(billed <= spent + exposed, $"cap {cap.Budget["id"]} says {spent} spent and {exposed} exposed of {billed} billed");
            Expect(spent + exposed > Limit - Bound - (Bound / 5), $"cap {cap.Budget["id"]} is refused with {spent} spent and {exposed} exposed of {Limit}");
            Expect((decimal)usage["overrunUsd"]! == 0, $"cap {cap.Budget["id"]} has an overrun: {usage["overrun"]!.ToJsonString()}");
        }

        foreach (var type in (string[])["BUDGET_CAP_SOFT", "BUDGET_CAP_HARD"])
        {
            var told = (await EventsAsync(type)).CountBy(id => id, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal);
            foreach (var id in _caps.Select(cap => (string)cap.Budget["id"]!))
            {
                Expect(told.GetValueOrDefault(id) == 1, $"cap {id} has {told.GetValueOrDefault(id)} events {type}");
            }
        }

        return new(_caps.Count, _calls, _admitted, _refused, _broken, _faults, least, worst, [.. _violations]);
    }

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        await _postgres.DisposeAsync();
        await _upstream.DisposeAsync();
    }

    private GatewayProcess Any => _cluster.Silos.First(silo => !silo.HasExited);

    private async Task<CapUnderTest> NewCapAsync()
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                var (tenant, key) = await DrillLoad.NewKeyAsync(Any.Admin);
                return new(tenant, key, await Any.Admin.MakeBudgetAsync(Limit, new() { ["tenantId"] = tenant, ["holdWaitMs"] = 500 }));
            }
            catch (HttpRequestException) when (clock.Elapsed < Patience)
            {
                // A silo that was frozen hears only now that it was given up, and ends itself: another one makes the cap.
            }
        }
    }

    /// <summary>An estimate dispatches nothing, and names the caps that the silo would hold the call in.</summary>
    private static async Task AwaitKnownAsync(CapUnderTest cap, GatewayProcess silo)
    {
        using var client = new HttpClient { BaseAddress = silo.BaseAddress, Timeout = Patience };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", cap.Key);
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < Patience && !silo.HasExited)
        {
            try
            {
                using var answer = await client.PostAsync("/v1/budget/estimate", new StringContent(BodyOf(cap), new MediaTypeHeaderValue("application/json")));
                if (answer.IsSuccessStatusCode && (await answer.Content.ReadFromJsonAsync<JsonNode>())!["budgets"]!.AsArray().Count > 0)
                {
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // It is about to end; or it is not, and is asked again.
            }
        }

        if (silo.HasExited)
        {
            // What takes its place reads every cap before it answers.
            return;
        }

        throw new TimeoutException($"{silo.BaseAddress} never saw cap {cap.Budget["id"]}.");
    }

    private static string BodyOf(CapUnderTest cap) =>
        $$"""{"model":"openai/dear","user":"{{cap.Tenant}}","max_tokens":1000,"messages":[{"role":"user","content":"Hi"}]}""";

    private async Task SufferAsync(ClusterFault fault, TimeSpan length)
    {
        var victim = _random.Next(Silos);
        switch (fault)
        {
            case ClusterFault.KillSilo:
                await _cluster.Silos[victim].KillAsync();
                await _cluster.RestartAsync(victim);
                break;
            case ClusterFault.FreezeSilo:
                _cluster.Silos[victim].Freeze();
                await PassAsync(length);
                _cluster.Silos[victim].Resume();
                if (length > GivenUpAfter)
                {
                    await _cluster.Silos[victim].WaitForExitAsync(Patience);
                }

                break;
            case ClusterFault.KillPostgres:
                await _postgres.KillAsync();
                await _postgres.StartAgainAsync();
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(fault), fault, "The drill of caps does not make this fault.");
        }
    }

    /// <summary>One call after the other until the cap refuses for good.</summary>
    private async Task UseUpAsync(CapUnderTest cap)
    {
        var clock = Stopwatch.StartNew();
        for (var call = 0; clock.Elapsed < Patience; call++)
        {
            if (await CallAsync(cap, _cluster.Silos[call % Silos]) == CallEnd.RefusedForGood)
            {
                return;
            }
        }

        _violations.Enqueue($"cap {cap.Budget["id"]} never refused for good");
    }

    private async Task<CallEnd> CallAsync(CapUnderTest cap, GatewayProcess silo)
    {
        Interlocked.Increment(ref _calls);
        using var client = new HttpClient { BaseAddress = silo.BaseAddress, Timeout = Patience };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", cap.Key);
        try
        {
            using var answer = await client.PostAsync("/v1/chat/completions", new StringContent(BodyOf(cap), new MediaTypeHeaderValue("application/json")));
            switch (answer.StatusCode)
            {
                case HttpStatusCode.OK:
                    Interlocked.Increment(ref _admitted);
                    return CallEnd.Admitted;
                case HttpStatusCode.PaymentRequired:
                    Interlocked.Increment(ref _refused);
                    var retryable = (bool)(await answer.Content.ReadFromJsonAsync<JsonNode>())!["error"]!["budget"]!["retryable"]!;
                    return retryable ? CallEnd.Held : CallEnd.RefusedForGood;
                case HttpStatusCode.ServiceUnavailable:
                    Interlocked.Increment(ref _broken);
                    return CallEnd.Broken;
                default:
                    _violations.Enqueue($"a call was answered {(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
                    return CallEnd.Broken;
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or TaskCanceledException)
        {
            Interlocked.Increment(ref _broken);
            return CallEnd.Broken;
        }
    }

    /// <summary>Some of the 1,000 tokens, after a while; the caller may be gone by then, and is billed all the same.</summary>
    private async Task AnswerAsync(HttpContext httpContext, UpstreamCall call)
    {
        var tenant = (string)JsonNode.Parse(call.Text)!["user"]!;
        var tokens = 200 + (call.Number * 37 % 801);
        _billedTokens.AddOrUpdate(tenant, tokens, (_, before) => before + tokens);
        // What was cut off here goes on there, and its hold stays: there are never more than fit, whatever becomes of their silos.
        var atOnce = _atTheUpstream.AddOrUpdate(tenant, 1, (_, before) => before + 1);
        Expect(atOnce * Bound <= Limit, $"{atOnce} calls of tenant {tenant} are at the upstream at once");
        await PassAsync(TimeSpan.FromMilliseconds(5 + (call.Number % 60)));
        _atTheUpstream.AddOrUpdate(tenant, 0, (_, before) => before - 1);
        var usage = $$"""{"prompt_tokens":10,"completion_tokens":{{tokens}},"total_tokens":{{tokens + 10}}}""";
        await Recorded.WriteAsync(httpContext, "application/json", Encoding.UTF8.GetBytes(Recorded.Chat(usage, model: "dear")));
    }

    private async Task<List<string>> EventsAsync(string type)
    {
        var ids = new List<string>();
        string? cursor = null;
        do
        {
            var page = (await Any.Admin.GetFromJsonAsync<JsonNode>(
                $"/v1/admin/audit/events?type={type}&limit=1000{(cursor is null ? "" : "&cursor=" + Uri.EscapeDataString(cursor))}"))!;
            ids.AddRange(page["items"]!.AsArray().Select(item => (string)item!["payload"]!["budgetId"]!));
            cursor = (string?)page["nextCursor"];
        }
        while (cursor is not null);
        return ids;
    }

    private async Task RestartDeadAsync()
    {
        for (var silo = 0; silo < Silos; silo++)
        {
            if (_cluster.Silos[silo].HasExited)
            {
                await _cluster.RestartAsync(silo);
            }
        }
    }

    private void Expect(bool isTrue, string otherwise)
    {
        if (!isTrue)
        {
            _violations.Enqueue(otherwise);
        }
    }

    /// <summary>Lets time pass: the fault itself, not a wait for something to be true.</summary>
    private static async Task PassAsync(TimeSpan time)
    {
        using var timer = new PeriodicTimer(time);
        await timer.WaitForNextTickAsync();
    }

    private enum CallEnd
    {
        Admitted,
        Held,
        RefusedForGood,
        Broken,
    }

    private sealed record CapUnderTest(string Tenant, string Key, JsonObject Budget);
}
