using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Npgsql;

namespace Dvara.Testing;

/// <summary>What can happen to a cluster.</summary>
public enum ClusterFault
{
    /// <summary>SIGKILL of a silo; another process takes its folder.</summary>
    KillSilo,

    /// <summary>SIGTERM of a silo, and a restart.</summary>
    TerminateSilo,

    /// <summary>SIGSTOP of a silo for a while.</summary>
    FreezeSilo,

    /// <summary>PostgreSQL is stopped for a while.</summary>
    StopPostgres,

    /// <summary>SIGKILL of every process of PostgreSQL, and a restart.</summary>
    KillPostgres,

    /// <summary>Connections are cut right after a COMMIT was sent.</summary>
    CutCommits,

    /// <summary>The connections on which changes are heard are cut.</summary>
    CutListen,
}

/// <summary>What a drill saw.</summary>
/// <param name="Faults">How many, by kind.</param>
/// <param name="WorstRecovery">The longest time from the end of a fault to an answer of every silo.</param>
/// <param name="Violations">Must be empty.</param>
public sealed record ClusterReport(
    IReadOnlyDictionary<ClusterFault, int> Faults, int Calls, int Answered, int UpstreamCalls, int Charges, int WithoutUpstream, int CommitsCut,
    TimeSpan WorstRecovery, IReadOnlyList<string> Violations)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{string.Join(", ", Faults.Select(fault => $"{fault.Value} x {fault.Key}"))}; {Calls} calls, {Answered} answered, {UpstreamCalls} upstream, {Charges} charges, {WithoutUpstream} without an upstream call, {CommitsCut} commits cut, worst recovery {WorstRecovery.TotalSeconds:F1} s");
}

/// <summary>
/// Three silos, PostgreSQL and an upstream with a log of its own, all real processes, under load; one fault after the other, and after each
/// the ledger is held against the upstream's log.
/// </summary>
public sealed class ClusterDrill(int seed) : IAsyncDisposable
{
    private const int Silos = 3;
    private const int WorkersPerSilo = 4;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly Random _random = new(seed);
    private readonly DrillLoad _load = new(seed);
    private readonly Dictionary<ClusterFault, int> _faults = [];
    private readonly List<string> _violations = [];
    private FakeUpstream _upstream = null!;
    private PostgresServer _postgres = null!;
    private CuttingProxy _proxy = null!;
    private ProcessCluster _cluster = null!;
    private (string Tenant, string Key) _drill;
    private int _openMax;
    private int _withoutUpstream;
    private int _charges;
    private TimeSpan _worstRecovery;

    public async Task StartAsync()
    {
        _upstream = await FakeUpstream.StartAsync();
        _upstream.Answer = _load.AnswerAsync;
        _postgres = await PostgresServer.StartAsync();
        _proxy = new CuttingProxy(_postgres.Port);
        _cluster = new ProcessCluster(new NpgsqlConnectionStringBuilder(_postgres.ConnectionString) { Port = _proxy.Port }.ToString(), _upstream.Settings);
        await _cluster.StartAsync(Silos);
        _drill = await DrillLoad.NewKeyAsync(_cluster.Silos[0].Admin);
    }

    /// <param name="fault">What happens.</param>
    /// <param name="length">How long, where it has a length.</param>
    public async Task SufferAsync(ClusterFault fault, TimeSpan length)
    {
        using var stop = new CancellationTokenSource();
        var running = _load.NextAnswerAsync();
        var workers = Enumerable.Range(0, Silos * WorkersPerSilo).Select(worker => WorkAsync(worker, stop.Token)).ToList();
        await running.WaitAsync(Patience);
        await PassAsync(TimeSpan.FromMilliseconds(_random.Next(50, 400)));

        // Each worker has at most one call open, and a frozen or restarted silo may drop it.
        _openMax += workers.Count;
        _faults[fault] = _faults.GetValueOrDefault(fault) + 1;
        await DoAsync(fault, length);

        var clock = Stopwatch.StartNew();
        for (var silo = 0; silo < Silos; silo++)
        {
            await AnswersAsync(silo);
        }

        _worstRecovery = clock.Elapsed > _worstRecovery ? clock.Elapsed : _worstRecovery;
        await PassAsync(TimeSpan.FromMilliseconds(200));
        await stop.CancelAsync();
        await Task.WhenAll(workers);
        await CompareAsync(fault);
    }

    public ClusterReport Report() => new(
        _faults, _load.Calls, _load.Answered, _load.UpstreamCalls, _charges, _withoutUpstream, _proxy.Cuts, _worstRecovery, _violations);

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        await _proxy.DisposeAsync();
        await _postgres.DisposeAsync();
        await _upstream.DisposeAsync();
    }

    private async Task DoAsync(ClusterFault fault, TimeSpan length)
    {
        var victim = _random.Next(Silos);
        switch (fault)
        {
            case ClusterFault.KillSilo:
                await _cluster.Silos[victim].KillAsync();
                await _cluster.RestartAsync(victim);
                break;
            case ClusterFault.TerminateSilo:
                using (var patience = new CancellationTokenSource(Patience))
                {
                    var exit = await _cluster.Silos[victim].TerminateAsync(patience.Token);
                    if (exit != 0)
                    {
                        _violations.Add($"a silo ended with {exit} after SIGTERM");
                    }
                }

                await _cluster.RestartAsync(victim);
                break;
            case ClusterFault.FreezeSilo:
                _cluster.Silos[victim].Freeze();
                await PassAsync(length);
                _cluster.Silos[victim].Resume();
                break;
            case ClusterFault.StopPostgres:
                await _postgres.StopAsync();
                await PassAsync(length);
                await _postgres.StartAgainAsync();
                break;
            case ClusterFault.KillPostgres:
                await _postgres.KillAsync();
                await _postgres.StartAgainAsync();
                break;
            case ClusterFault.CutCommits:
                var before = _proxy.Cuts;
                _proxy.CutCommits(10);
                await WaitAsync(() => Task.FromResult(_proxy.Cuts >= before + 10), "ten commits to cut");
                break;
            default:
                if (await _postgres.CutAsync("dvara") == 0)
                {
                    _violations.Add("no silo was listening for changes");
                }

                break;
        }
    }

    private async Task WorkAsync(int worker, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            // A silo that is being restarted has another address afterwards.
            var silo = _cluster.Silos[worker % Silos];
            using var client = ClientOf(silo);
            await _load.CallUntilAsync(worker, client, stop);
            if (!stop.IsCancellationRequested && silo == _cluster.Silos[worker % Silos])
            {
                await PassAsync(TimeSpan.FromMilliseconds(50));
            }
        }
    }

    /// <summary>Ends when the silo answers a call; one that was evicted while it was frozen has ended itself and is started again.</summary>
    private async Task AnswersAsync(int silo) => await WaitAsync(
        async () =>
        {
            await RestartDeadAsync();
            using var client = ClientOf(_cluster.Silos[silo]);
            var answered = _load.Answered;
            return await _load.CallAsync(client, stream: false) && _load.Answered > answered && await IsReadyAsync(silo);
        },
        $"silo {silo} to answer");

    private async Task<bool> IsReadyAsync(int silo)
    {
        using var ready = await _cluster.Silos[silo].Admin.GetAsync("/readyz");
        return ready.IsSuccessStatusCode;
    }

    private async Task CompareAsync(ClusterFault fault)
    {
        List<JsonNode> lines = [];
        var summed = 0m;
        await WaitAsync(
            async () =>
            {
                await RestartDeadAsync();
                if (!(await Task.WhenAll(_cluster.Silos.Select(HasShippedAsync))).All(shipped => shipped))
                {
                    return false;
                }

                lines = await DrillLoad.ReadLinesAsync(AnySilo().Admin, _drill.Tenant);
                summed = (decimal)(await AnySilo().Admin.GetFromJsonAsync<JsonNode>(
                    $"/v1/admin/costs/summary?tenantId={_drill.Tenant}&from=2020-01-01T00:00:00Z&to=2040-01-01T00:00:00Z"))!["totalCostUsd"]!;
                return true;
            },
            $"the journals to be shipped after {fault}");
        (_withoutUpstream, var violations) = _load.Compare(lines, _openMax);
        _charges = lines.Count;
        _violations.AddRange(violations.Select(violation => $"after {fault}: {violation}"));

        // The rollups of three writers are the rows.
        var rows = lines.Sum(line => (decimal)line["totalCostUsd"]!);
        if (summed != rows)
        {
            _violations.Add($"after {fault}: the summary says {summed}, the rows {rows}");
        }
    }

    /// <summary>A silo that finds out after a freeze that the others have given it up ends itself.</summary>
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

    private static async Task<bool> HasShippedAsync(GatewayProcess silo)
    {
        var journals = (await silo.Admin.GetFromJsonAsync<JsonNode>("/v1/admin/journals?limit=1000"))!["items"]!.AsArray();
        return journals.All(journal => (int?)journal!["pending"] is null or 0);
    }

    private GatewayProcess AnySilo() => _cluster.Silos[_random.Next(Silos)];

    private HttpClient ClientOf(GatewayProcess silo)
    {
        var client = new HttpClient { BaseAddress = silo.BaseAddress, Timeout = Patience };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", _drill.Key);
        return client;
    }

    /// <summary>Lets time pass: the fault itself, not a wait for something to be true.</summary>
    private static async Task PassAsync(TimeSpan time)
    {
        using var timer = new PeriodicTimer(time);
        await timer.WaitForNextTickAsync();
    }

    private static async Task WaitAsync(Func<Task<bool>> isTrue, string what)
    {
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        var clock = Stopwatch.StartNew();
        HttpRequestException? last = null;
        while (true)
        {
            try
            {
                if (await isTrue())
                {
                    return;
                }
            }
            catch (HttpRequestException exception)
            {
                // Not there yet.
                last = exception;
            }

            if (clock.Elapsed > Patience)
            {
                throw new TimeoutException($"Waited {Patience} for {what}.", last);
            }

            await poll.WaitForNextTickAsync();
        }
    }
}
