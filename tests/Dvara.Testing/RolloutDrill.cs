using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Dvara.Testing;

/// <summary>What a rollout did to its streams.</summary>
/// <param name="Violations">Must be empty.</param>
public sealed record RolloutReport(int Streams, int LongestOpen, TimeSpan LongestStop, IReadOnlyList<string> Violations)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Streams} streams, at most {LongestOpen} open at once, the longest stop took {LongestStop.TotalSeconds:F1} s, {Violations.Count} dropped or refused");
}

/// <summary>Restarts three silos one after the other by SIGTERM while many slow streams run, behind a load balancer that goes by <c>/readyz</c>.</summary>
public sealed class RolloutDrill : IAsyncDisposable
{
    private const int Silos = 3;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly ConcurrentQueue<string> _violations = new();
    private readonly bool[] _ready = new bool[Silos];
    private FakeUpstream _upstream = null!;
    private ProcessCluster _cluster = null!;
    private string _database = "";
    private string _key = "";
    private int _streams;
    private int _open;
    private int _openMost;
    private int _next;

    public async Task StartAsync()
    {
        _upstream = await FakeUpstream.StartAsync();
        _upstream.Answer = AnswerSlowlyAsync;
        _database = await TestPostgres.NewDatabaseAsync();
        _cluster = new ProcessCluster(_database, _upstream.Settings);
        await _cluster.StartAsync(Silos);
        (_, _key) = await DrillLoad.NewKeyAsync(_cluster.Silos[0].Admin);
    }

    /// <param name="streams">Open at any time.</param>
    public async Task<RolloutReport> RunAsync(int streams)
    {
        using var stop = new CancellationTokenSource();
        var balancer = ProbeAsync(stop.Token);
        var workers = Enumerable.Range(0, streams).Select(_ => StreamUntilAsync(stop.Token)).ToList();
        await WaitAsync(() => Volatile.Read(ref _open) >= streams);
        var longest = TimeSpan.Zero;
        for (var silo = 0; silo < Silos; silo++)
        {
            var started = TimeProvider.System.GetTimestamp();
            using var patience = new CancellationTokenSource(Patience);
            if (await _cluster.Silos[silo].TerminateAsync(patience.Token) is not 0 and var exit)
            {
                _violations.Enqueue($"silo {silo} ended with {exit}");
            }

            var took = TimeProvider.System.GetElapsedTime(started);
            longest = took > longest ? took : longest;
            await _cluster.RestartAsync(silo);
            var restarted = silo;
            await WaitAsync(() => Volatile.Read(ref _ready[restarted]));
        }

        await stop.CancelAsync();
        await Task.WhenAll(workers);
        await balancer;
        return new(_streams, _openMost, longest, [.. _violations]);
    }

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        await _upstream.DisposeAsync();
        await TestPostgres.DropAsync(_database);
    }

    private async Task StreamUntilAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            Interlocked.Increment(ref _streams);
            var open = Interlocked.Increment(ref _open);
            _openMost = Math.Max(_openMost, open);
            try
            {
                await StreamAsync();
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException)
            {
                _violations.Enqueue(exception.Message);
            }
            finally
            {
                Interlocked.Decrement(ref _open);
            }
        }
    }

    private async Task StreamAsync()
    {
        using var client = new HttpClient { BaseAddress = await ChooseAsync(), Timeout = Patience };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _key);
        request.Content = new StringContent("""{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}]}""", Encoding.UTF8, "application/json");
        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var text = await answer.Content.ReadAsStringAsync();
        if (!answer.IsSuccessStatusCode || !text.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal))
        {
            _violations.Enqueue($"{(int)answer.StatusCode}: …{text[Math.Max(0, text.Length - 200)..]}");
        }
    }

    /// <summary>The next silo that was ready at the last probe.</summary>
    private async Task<Uri> ChooseAsync()
    {
        while (true)
        {
            for (var turn = 0; turn < Silos; turn++)
            {
                var silo = (Interlocked.Increment(ref _next) & int.MaxValue) % Silos;
                if (Volatile.Read(ref _ready[silo]))
                {
                    return _cluster.Silos[silo].BaseAddress;
                }
            }

            await WaitAsync(() => Enumerable.Range(0, Silos).Any(silo => Volatile.Read(ref _ready[silo])));
        }
    }

    private async Task ProbeAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (!stop.IsCancellationRequested)
        {
            for (var silo = 0; silo < Silos; silo++)
            {
                Volatile.Write(ref _ready[silo], await IsReadyAsync(silo));
            }

            await timer.WaitForNextTickAsync(CancellationToken.None);
        }
    }

    private async Task<bool> IsReadyAsync(int silo)
    {
        try
        {
            using var ready = await _cluster.Silos[silo].Admin.GetAsync("/readyz");
            return ready.IsSuccessStatusCode;
        }
        catch (Exception exception) when (exception is HttpRequestException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>A few seconds of text, as a model writes it.</summary>
    private static async Task AnswerSlowlyAsync(HttpContext httpContext, UpstreamCall call)
    {
        await Recorded.WriteAsync(httpContext, "text/event-stream", default);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50 + (call.Number % 7 * 20)));
        foreach (var part in Recorded.ChatStream(usage: true).Chunk(100))
        {
            await httpContext.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(part));
            await httpContext.Response.Body.FlushAsync();
            await pace.WaitForNextTickAsync();
        }
    }

    private static async Task WaitAsync(Func<bool> isTrue)
    {
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        using var patience = new CancellationTokenSource(Patience);
        while (!isTrue())
        {
            await poll.WaitForNextTickAsync(patience.Token);
        }
    }
}
